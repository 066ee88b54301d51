/** Networks that are trained when somebody says so. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, type Schemas } from "../api/client";
import { once } from "../ui/once";

const KINDS = [
  ["pretrain", "Train a first segmenter", "From label maps of the split train, or from synthetic streets."],
  ["train-policy", "Train a policy on this project", "Plays the campaign on labelled images; used where it does best."],
  ["finish", "Train the final segmenter", "To convergence, on everything labelled."],
] as const;

export function Jobs({ project }: { project: Schemas["ProjectDetail"] }) {
  const said = useSignal<string | null>(null);
  const active = useSignal(project.active);
  useEffect(() => void (active.value = project.active), [project]); // somebody else may have paused it
  const busy = useSignal(false);
  const start = async (kind: string) => {
    const job = await ask<Schemas["JobOut"]>("POST", `/projects/${project.id}/jobs`, { body: { kind } });
    said.value = `Job ${job.id} (${kind}) is ${job.state}; the overview shows how it goes.`;
  };
  const pause = async () => {
    const changed = await ask<Schemas["ProjectOut"]>("PATCH", `/projects/${project.id}`, {
      body: { active: !active.value },
    });
    active.value = changed.active;
  };
  // The second of two clicks comes when the first may be done already.
  const clicked = ({ detail }: MouseEvent, doing: () => Promise<void>) => {
    if (detail < 2) once(busy, doing).catch((error: Error) => (said.value = error.message));
  };
  return (
    <section>
      <h2>Networks</h2>
      <ul class="kinds">
        {KINDS.map(([kind, says, what]) => (
          <li key={kind}>
            <button type="button" aria-disabled={busy.value} onClick={(event) => clicked(event, () => start(kind))}>
              {says}
            </button>{" "}
            <span class="hint">{what}</span>
          </li>
        ))}
        <li>
          <button type="button" aria-disabled={busy.value} onClick={(event) => clicked(event, pause)}>
            {active.value ? "Pause the campaign" : "Go on with the campaign"}
          </button>
        </li>
      </ul>
      {said.value !== null && <p role="status">{said.value}</p>}
    </section>
  );
}
