/** A job in the list: what it is, how far, and what it has said. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Schemas } from "../api/client";
import { Log } from "./log";
import { kindInWords, moment, percentDone, span, stateInWords, underWay } from "./job_words";

type Job = Schemas["JobOut"];

interface RowProps {
  readonly project: number;
  readonly job: Job;
  readonly now: number;
  readonly children: ComponentChildren;
}

/** `now` in milliseconds; the children are buttons. */
export function Row({ project, job, now, children }: RowProps) {
  const state = job.state === "queued" && job.due_at !== null ? "again" : job.state;
  return (
    <li class={state}>
      <div class="head">
        <span class="kind">{kindInWords(job.kind)}</span>
        <span class="hint">#{job.id}</span>
        <span class="state">{stateInWords(job)}</span>
        {underWay(job) && job.started_at !== null && <Bar job={job} />}
        <span class="time" title={times(job)}>
          {elapsed(job, now)}
        </span>
        <span class="row">{children}</span>
      </div>
      {underWay(job) && job.message && <p class="message">{job.message}</p>}
      {job.warning !== null && <p class="warning">{job.warning}</p>}
      {job.error !== null && <p class="warning">{job.error}</p>}
      <p class="hint">{again(job, now)}</p>
      <Disclosed project={project} job={job.id} />
    </li>
  );
}

function Bar({ job }: { job: Job }) {
  return (
    <span class="bar">
      <progress value={job.progress} max={1} aria-label={`${kindInWords(job.kind)}, job ${job.id}`} />
      <span class="percent">{percentDone(job.progress)} %</span>
    </span>
  );
}

function Disclosed({ project, job }: { project: number; job: number }) {
  const open = useSignal(false);
  return (
    <details onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>Log</summary>
      {open.value && <Log project={project} job={job} />}
    </details>
  );
}

function elapsed(job: Job, now: number): string {
  if (job.started_at === null) return underWay(job) ? `for ${span(now - Date.parse(job.created_at))}` : "";
  const until = job.finished_at === null ? now : Date.parse(job.finished_at);
  return span(until - Date.parse(job.started_at));
}

function times(job: Job): string {
  const parts = [`Asked for ${moment(job.created_at)}`];
  if (job.started_at !== null) parts.push(`begun ${moment(job.started_at)}`);
  if (job.finished_at !== null) parts.push(`ended ${moment(job.finished_at)}`);
  return `${parts.join(", ")}.`;
}

function again(job: Job, now: number): string | null {
  const tries = job.attempt > 1 ? `Try ${job.attempt}.` : null;
  if (job.state !== "queued" || job.due_at === null) return underWay(job) ? tries : null;
  const left = Date.parse(job.due_at) - now;
  const when = left > 0 ? `in ${span(left)}` : "now";
  return `It is tried again ${when}${job.attempt > 1 ? `, after ${job.attempt} tries` : ""}.`;
}
