/** What asking by a strategy has saved against random so far. */

import type { Schemas } from "../api/client";
import { maySetUp } from "../api/session";
import type { Progress } from "./points";
import { saving } from "./savings";

interface SavingProps {
  readonly project: Schemas["ProjectDetail"];
  readonly progress: Progress;
}

export function Saving({ project, progress }: SavingProps) {
  const { known, sentences } = saving(project.choice, progress.points, project.checkpoints["policy"] !== undefined);
  return (
    <section class="saving">
      <h2>Saved against random</h2>
      {sentences.map((sentence, place) => (
        <p key={sentence} class={place === 0 && known ? "" : "hint"}>
          {sentence}
        </p>
      ))}
      {!known && maySetUp(project.id) && (
        <p>
          <a class="button" href={`#/projects/${project.id}/setup`}>
            Set up
          </a>
        </p>
      )}
    </section>
  );
}
