/** How a campaign is going, and what its labels pay off. */

import { useSignal } from "@preact/signals";
import { ask, type Schemas } from "../api/client";
import { all } from "../api/lists";
import { Begin } from "./begin";
import { PerClass } from "./classes";
import { Jobs } from "./jobs";
import { Learning, Simulated } from "./learning";
import { useLive } from "./live";
import { Numbers } from "./numbers";
import "./overview.css";
import type { Progress, Round } from "./points";
import { Saving } from "./saving";
import { Shares } from "./shares";

type Project = Schemas["ProjectDetail"];

export function Overview({ project: first }: { project: Project }) {
  const project = useSignal(first);
  const rounds = useSignal<readonly Round[]>([]);
  const progress = useSignal<Progress | null>(null);
  const path = `/projects/${first.id}`;
  const trouble = useLive(first.id, ["project", "rounds", "regions"], async (signal) => {
    [project.value, progress.value, rounds.value] = await Promise.all([
      ask<Project>("GET", path, { signal }),
      ask<Progress>("GET", `${path}/progress`, { signal }),
      all<Round>(`${path}/rounds`, signal),
    ]);
  });
  const begun = Object.values(project.value.rounds).some((count) => count > 0);
  return (
    <main class="overview watch">
      <h1>{project.value.name}</h1>
      {trouble.value !== null && <p class="warning">{trouble.value}</p>}
      {!project.value.active && <p class="warning">The campaign is paused: nobody is given regions.</p>}
      {project.value.warning !== null && <p class="warning">{project.value.warning}</p>}
      {project.value.stalled.map((each) => (
        <p class="warning" key={each.job_id}>
          {each.sentence}
        </p>
      ))}
      {progress.value === null ? (
        <p class="hint">…</p>
      ) : begun ? (
        <Campaign project={project.value} progress={progress.value} rounds={rounds.value} />
      ) : (
        <Begin project={project.value} />
      )}
      <Jobs project={first.id} />
    </main>
  );
}

interface CampaignProps {
  readonly project: Project;
  readonly progress: Progress;
  readonly rounds: readonly Round[];
}

function Campaign({ project, progress, rounds }: CampaignProps) {
  return (
    <>
      <Numbers project={project} progress={progress} />
      <div class="beside">
        <Learning progress={progress} />
        <Simulated choice={project.choice} />
      </div>
      <Saving project={project} progress={progress} />
      <PerClass project={project} rounds={rounds} progress={progress} />
      <Shares project={project} progress={progress} />
    </>
  );
}
