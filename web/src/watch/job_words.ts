/** Jobs and times in words. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Schemas } from "../api/client";

type Job = Schemas["JobOut"];

const KINDS: Record<string, string> = {
  ask: "Choosing regions",
  tell: "Learning from labels",
  pretrain: "Training a first segmenter",
  "train-policy": "Training a policy",
  finish: "Training the final segmenter",
  evaluate: "Measuring a network",
};

export function kindInWords(kind: string): string {
  return KINDS[kind] ?? kind;
}

export function stateInWords(job: Job): string {
  if (job.state === "running") return job.cancel_requested ? "is stopping" : "running";
  if (job.state === "queued") return job.due_at === null ? "waits" : "waits after a failure";
  return job.state;
}

/** Whether a job may still go on by itself. */
export function underWay(job: Job): boolean {
  return job.state === "queued" || job.state === "running";
}

/** How far something is, in whole percents; 100 only where it is all done. */
export function percentDone(share: number): number {
  return Math.floor(100 * share + 1e-9); // 100 times 0.29 is a little less than 29
}

/** A time span in its two largest units. */
export function span(milliseconds: number): string {
  const seconds = Math.max(1, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** The time of day, with the date where it is another day's. */
export function moment(iso: string): string {
  const at = new Date(iso);
  const time = at.toLocaleTimeString();
  return at.toDateString() === new Date().toDateString() ? time : `${at.toLocaleDateString()} ${time}`;
}

/** The time now in milliseconds, anew each second while it `runs`. */
export function useNow(runs: boolean): number {
  const now = useSignal(Date.now());
  useEffect(() => {
    if (!runs) return;
    now.value = Date.now();
    const timer = setInterval(() => (now.value = Date.now()), 1000);
    return () => clearInterval(timer);
  }, [runs]);
  return now.value;
}
