/** The processes that take jobs, and what each is at. */

import { useSignal } from "@preact/signals";
import { ask, type Schemas } from "../api/client";
import { useLive } from "./live";
import { kindInWords, moment, percentDone, span, useNow } from "./job_words";
import { Table } from "./table";

type Worker = Schemas["WorkerOut"];

export function Workers({ project }: { project: number }) {
  const workers = useSignal<readonly Worker[] | null>(null);
  const trouble = useLive(project, ["workers"], async (signal) => {
    workers.value = (await ask<Schemas["Page_WorkerOut_"]>("GET", "/workers?limit=200", { signal })).items;
  });
  const now = useNow(workers.value !== null && workers.value.length > 0);
  return (
    <div class="workers">
      <h2>Workers</h2>
      {trouble.value !== null && <p class="warning">{trouble.value}</p>}
      {workers.value?.length === 0 && <p class="warning">None is there: jobs wait until one is started.</p>}
      {workers.value !== null && workers.value.length > 0 && (
        <Table called="Workers" head={["Machine", "Takes", "Does", "Runs for"]}>
          {workers.value.map((each) => (
            <Row key={each.id} worker={each} project={project} now={now} />
          ))}
        </Table>
      )}
    </div>
  );
}

function Row({ worker, project, now }: { worker: Worker; project: number; now: number }) {
  return (
    <tr class={worker.alive ? "" : "silent"}>
      <th scope="row" title={worker.name}>
        <span class={`dot ${worker.alive ? "alive" : ""}`} aria-hidden="true" />
        {worker.host ?? worker.name}
        {worker.missing.length > 0 && (
          <span class="hint">cannot build {worker.missing.map((each) => each.replace(/:$/, "")).join(", ")}</span>
        )}
      </th>
      <td>{worker.queues.join(", ")}</td>
      <td>{worker.alive ? <Work job={worker.job} project={project} /> : <Silence since={worker.seen_at} />}</td>
      <td title={`Since ${moment(worker.started_at)}`}>
        {worker.alive ? span(now - Date.parse(worker.started_at)) : "–"}
      </td>
    </tr>
  );
}

function Work({ job, project }: { job: Worker["job"]; project: number }) {
  if (job === null) return <span class="hint">nothing now</span>;
  if (job.id === null || job.kind === null) return <span class="hint">a job of {job.project}</span>;
  return (
    <>
      {kindInWords(job.kind)} <span class="hint">#{job.id}</span>
      {job.project_id !== project && <span class="hint"> of {job.project}</span>} {percentDone(job.progress ?? 0)} %
      {job.message && <span class="message">{job.message}</span>}
    </>
  );
}

function Silence({ since }: { since: string | null }) {
  return <span class="warning">{since === null ? "never heard of" : `not heard of since ${moment(since)}`}</span>;
}
