/** How the annotators of a project do. */

import { useSignal } from "@preact/signals";
import { apiUrl, ask, type Schemas } from "../api/client";
import { all } from "../api/lists";
import { maySetUp } from "../api/session";
import { useLive } from "./live";
import { Head } from "./table";

const COLUMNS = ["Name", "Regions", "Regions an hour", "Seconds a region", "Idle", "Agreement", "Gold", "Skips", ""];

type Standing = Schemas["AnnotatorStanding"];

export function Annotators({ project }: { project: number }) {
  const rows = useSignal<readonly Standing[] | null>(null);
  const refused = useSignal<string | null>(null);
  const path = `/projects/${project}/annotators`;
  const look = async (signal?: AbortSignal) => {
    rows.value = await all<Standing>(path, signal);
  };
  const trouble = useLive(null, [], look);
  const told = (doing: Promise<unknown>) => {
    refused.value = null;
    doing.catch((error: Error) => (refused.value = error.message));
  };
  const turn = async (row: Standing) => {
    const member = `/projects/${project}/members/${row.annotator_id}`;
    if (row.paused_at === null) await ask("POST", `${member}/pause`, { body: { reason: "Paused by hand." } });
    else await ask("POST", `${member}/resume`);
    await look();
  };
  return (
    <main class="overview">
      <h1>Annotators</h1>
      {(refused.value ?? trouble.value) !== null && (
        <p class="warning" role="alert">
          {refused.value ?? trouble.value}
        </p>
      )}
      <section>
        <div class="wide" tabIndex={0} role="group" aria-label="Table">
          <table>
            <Head names={COLUMNS} />
            <tbody>
              {rows.value?.map((row) => (
                <tr key={row.annotator_id}>
                  <th scope="row">
                    {row.name} <span class="hint">{row.role ?? "no member any more"}</span>
                  </th>
                  <td>{row.regions}</td>
                  <td>{number(row.regions_per_hour)}</td>
                  <td>{number(row.median_seconds)}</td>
                  <td>{duration(row.idle_seconds)}</td>
                  <td title={`${row.compared} labels of others`}>{percent(row.agreement_miou)}</td>
                  <td title={row.gold === null ? "" : `${row.gold.regions} gold regions`}>{percent(row.gold_miou)}</td>
                  <td>{row.skips}</td>
                  <td>
                    {row.role !== null && maySetUp(project) && (
                      <button type="button" title={row.pause_reason ?? ""} onClick={() => told(turn(row))}>
                        {row.paused_at === null ? "Pause" : "Let go on"}
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <p>
          <a class="button" href={apiUrl(`${path}?format=csv`)} download>
            As CSV
          </a>
        </p>
      </section>
    </main>
  );
}

function number(value: number | null): string {
  return value === null ? "–" : value.toFixed(value < 10 ? 1 : 0);
}

function percent(value: number | null): string {
  return value === null ? "–" : `${(100 * value).toFixed(0)} %`;
}

function duration(seconds: number): string {
  return seconds < 60 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
