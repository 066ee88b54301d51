/** What workers do for a project. */

import { useSignal } from "@preact/signals";
import { ask, type Schemas } from "../api/client";
import { roleIn, who } from "../api/session";
import { Dialog } from "../ui/dialog";
import { Row } from "./job";
import { useLive } from "./live";
import { kindInWords, percentDone, underWay, useNow } from "./job_words";
import { Workers } from "./workers";

type Job = Schemas["JobOut"];
type Page = Schemas["Page_JobOut_"];

const AT_ONCE = 10;
const OF_ROUNDS = ["ask", "tell"];

export function Jobs({ project }: { project: number }) {
  const jobs = useSignal<readonly Job[] | null>(null);
  const more = useSignal(false);
  const refused = useSignal<string | null>(null);
  const doubted = useSignal<Job | null>(null);
  const path = `/projects/${project}/jobs?order=newest&limit=${AT_ONCE}`;
  const trouble = useLive(project, ["jobs"], async (signal) => {
    const page = await ask<Page>("GET", path, { signal });
    const newest = new Set(page.items.map((job) => job.id));
    const older = (jobs.value ?? []).filter((job) => !newest.has(job.id));
    const open = older.filter(underWay).map((job) => ask<Job>("GET", `/jobs/${job.id}`, { signal }));
    if (jobs.value === null) more.value = page.next !== null;
    jobs.value = together(older, [...page.items, ...(await Promise.all(open))]);
  });
  const told = (doing: Promise<unknown>) => {
    refused.value = null;
    doing.catch((error: Error) => (refused.value = error.message));
  };
  const showOlder = async () => {
    const page = await ask<Page>("GET", `${path}&after=${jobs.value?.at(-1)?.id ?? 0}`);
    more.value = page.next !== null;
    jobs.value = together(jobs.value ?? [], page.items);
  };
  const change = async (job: Job, how: "cancel" | "retry") => {
    doubted.value = null;
    jobs.value = together(jobs.value ?? [], [await ask<Job>("POST", `/jobs/${job.id}/${how}`)]);
  };
  const now = useNow(jobs.value?.some(underWay) ?? false);
  const mayChange = who.value ? roleIn(who.value, project) === "admin" : false;
  return (
    <section>
      <h2>Jobs</h2>
      {trouble.value !== null && <p class="warning">{trouble.value}</p>}
      {refused.value !== null && (
        <p class="warning" role="alert">
          {refused.value}
        </p>
      )}
      {jobs.value?.length === 0 && <p class="hint">None yet.</p>}
      <ul class="jobs">
        {jobs.value?.map((job) => (
          <Row key={job.id} project={project} job={job} now={now}>
            {mayChange && isCancellable(job) && (
              <button type="button" onClick={() => (doubted.value = job)}>
                Cancel
              </button>
            )}
            {mayChange && (job.state === "failed" || job.state === "cancelled") && (
              <button type="button" onClick={() => told(change(job, "retry"))}>
                Try again
              </button>
            )}
          </Row>
        ))}
      </ul>
      {more.value && (
        <button type="button" onClick={() => told(showOlder())}>
          Older jobs
        </button>
      )}
      <Workers project={project} />
      {doubted.value !== null && (
        <Doubt job={doubted.value} close={() => (doubted.value = null)} cancel={(job) => told(change(job, "cancel"))} />
      )}
    </section>
  );
}

function Doubt({ job, close, cancel }: { job: Job; close: () => void; cancel: (job: Job) => void }) {
  return (
    <Dialog title="Cancel this job?" close={close}>
      <p>
        {kindInWords(job.kind)}, job {job.id}, {percentDone(job.progress)} % done. What it has saved stays for a while,
        so that it can be tried again.
      </p>
      <p class="row">
        <button type="button" class="main" onClick={() => cancel(job)}>
          Cancel the job
        </button>
        <button type="button" onClick={close}>
          Let it go on
        </button>
      </p>
    </Dialog>
  );
}

function isCancellable(job: Job): boolean {
  return underWay(job) && !job.cancel_requested && !OF_ROUNDS.includes(job.kind);
}

/** Both lists as one, newest first; of a job that is in both, the second is as it is now. */
function together(some: readonly Job[], others: readonly Job[]): Job[] {
  const byNumber = new Map([...some, ...others].map((job) => [job.id, job]));
  return [...byNumber.values()].sort((one, other) => other.id - one.id);
}
