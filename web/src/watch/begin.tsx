/** What to do next in a project that has no round yet. */

import type { Schemas } from "../api/client";
import { maySetUp } from "../api/session";

export function Begin({ project }: { project: Schemas["ProjectDetail"] }) {
  const images = project.images["pool"] ?? 0;
  const setUp = maySetUp(project.id) ? (
    <a class="button main" href={`#/projects/${project.id}/setup`}>
      Set up
    </a>
  ) : (
    <span class="hint">Ask an admin of the project to set it up.</span>
  );
  if (images === 0) {
    return (
      <section class="begin">
        <h2>Nothing is here yet</h2>
        <ol>
          <li>Upload images to label; a few that are labelled already, as reward images, have mIoU measured.</li>
          <li>Invite people who label.</li>
          <li>
            Have a first segmenter trained, or begin without: the first regions are then as unlike each other as can be.
          </li>
        </ol>
        <p>{setUp}</p>
      </section>
    );
  }
  return (
    <section class="begin">
      <h2>Ready to be labelled</h2>
      <p>
        {images.toLocaleString()} images divide into {project.pool_regions.toLocaleString()} regions. The first round is
        asked for when {project.active ? "" : "the campaign goes on and "}somebody begins to annotate; this page shows
        from then on what the labels bring.
      </p>
      {(project.images["reward"] ?? 0) === 0 && (
        <p class="hint">There are no reward images: without a few labelled ones mIoU is not measured.</p>
      )}
      <p class="row">
        <a class="button main" href={`#/projects/${project.id}/annotate`}>
          Annotate
        </a>
        {maySetUp(project.id) && (
          <a class="button" href={`#/projects/${project.id}/setup`}>
            Set up
          </a>
        )}
      </p>
    </section>
  );
}
