/** Setting a project up: images, people, networks, and what leaves it again. */

import type { Schemas } from "../api/client";
import { Images } from "./images";
import { Jobs } from "./jobs";
import { People } from "./people";

const FORMATS: readonly [string, string][] = [
  ["", "Label maps, masks and all that is known"],
  ["png", "Label maps alone"],
  ["coco", "COCO"],
  ["coco-panoptic", "COCO panoptic"],
  ["voc", "Pascal VOC"],
  ["cityscapes", "Cityscapes"],
  ["labelstudio", "Label Studio"],
  ["cvat", "CVAT"],
];

export function Setup({ project }: { project: Schemas["ProjectDetail"] }) {
  return (
    <main class="setup">
      <h1>{project.name}</h1>
      <Images project={project} />
      <People project={project.id} />
      <Jobs project={project} />
      <section>
        <h2>Export</h2>
        <ul class="row">
          {FORMATS.map(([format, says]) => (
            <li key={says}>
              <a
                class="button"
                href={`../projects/${project.id}/export${format === "" ? "" : `?format=${format}`}`}
                download
              >
                {says}
              </a>
            </li>
          ))}
        </ul>
      </section>
    </main>
  );
}
