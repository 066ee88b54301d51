/** How the annotators of a project do, and which role each has. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { maySetUp, ROLES, who } from "../api/session";
import { Dialog } from "../ui/dialog";
import "./annotators.css";
import { useLive } from "./live";
import { mayChange, type Standing, Standings } from "./standings";
import { Table } from "./table";

const COLUMNS = [
  "Name",
  "Role",
  "Regions",
  "Regions an hour",
  "Seconds a region",
  "Idle",
  "Agreement",
  "Gold",
  "Skips",
];

export function Annotators({ project }: { project: number }) {
  const standings = useMemo(() => new Standings(project), [project]);
  const doubted = useSignal<Standing | null>(null);
  const trouble = useLive(null, [], (signal) => standings.look(signal));
  const said = standings.refused.value ?? trouble.value;
  const remove = (row: Standing) => {
    doubted.value = null;
    void standings.remove(row);
  };
  return (
    <main class="overview">
      <h1>Annotators</h1>
      {said !== null && (
        <p class="warning" role="alert">
          {said}
        </p>
      )}
      <section>
        <Table called="Annotators" class="annotators" head={maySetUp(project) ? [...COLUMNS, ""] : COLUMNS}>
          {standings.rows.value?.map((row) => (
            <Row key={row.annotator_id} row={row} project={project} standings={standings}>
              {mayChange(who.value, project, row) && (
                <button type="button" aria-label={`Remove ${row.name}`} onClick={() => (doubted.value = row)}>
                  Remove
                </button>
              )}
            </Row>
          ))}
        </Table>
        <p>
          <button type="button" onClick={() => void standings.saveCsv()}>
            As CSV
          </button>
        </p>
      </section>
      {doubted.value !== null && <Doubt row={doubted.value} close={() => (doubted.value = null)} remove={remove} />}
    </main>
  );
}

interface RowProps {
  readonly row: Standing;
  readonly project: number;
  readonly standings: Standings;
  readonly children: ComponentChildren;
}

/** The children are buttons. */
function Row({ row, project, standings, children }: RowProps) {
  return (
    <tr>
      <th scope="row">{row.name}</th>
      <td>
        {mayChange(who.value, project, row) ? <Role row={row} standings={standings} /> : (row.role ?? "no member")}
      </td>
      <td>{row.regions}</td>
      <td>{number(row.regions_per_hour)}</td>
      <td>{number(row.median_seconds)}</td>
      <td>{duration(row.idle_seconds)}</td>
      <td title={`${row.compared} labels of others`}>{percent(row.agreement_miou)}</td>
      <td title={row.gold === null ? "" : `${row.gold.regions} gold regions`}>{percent(row.gold_miou)}</td>
      <td>{row.skips}</td>
      {maySetUp(project) && (
        <td>
          <span class="row">
            {row.role !== null && (
              <button type="button" title={row.pause_reason ?? ""} onClick={() => void standings.turn(row)}>
                {row.paused_at === null ? "Pause" : "Let go on"}
              </button>
            )}
            {children}
          </span>
        </td>
      )}
    </tr>
  );
}

function Role({ row, standings }: { row: Standing; standings: Standings }) {
  return (
    <select
      aria-label={`Role of ${row.name}`}
      value={row.role ?? ""}
      onChange={(event) => void standings.change(row, event.currentTarget.value)}
    >
      {ROLES.map((each) => (
        <option key={each} value={each}>
          {each}
        </option>
      ))}
    </select>
  );
}

interface DoubtProps {
  readonly row: Standing;
  readonly close: () => void;
  readonly remove: (row: Standing) => void;
}

function Doubt({ row, close, remove }: DoubtProps) {
  return (
    <Dialog title={`Remove ${row.name} from the project?`} close={close}>
      <p>They see nothing of it any more, and regions that they hold are given to others. Their labels stay.</p>
      <p class="row">
        <button type="button" class="main" onClick={() => remove(row)}>
          Remove them
        </button>
        <button type="button" onClick={close}>
          Keep them
        </button>
      </p>
    </Dialog>
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
