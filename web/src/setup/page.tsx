/** Setting a project up: images, people, networks, and what leaves it again. */

import { useSignal } from "@preact/signals";
import { apiUrl, type Schemas } from "../api/client";
import { download } from "./download";
import { Images } from "./images";
import { Jobs } from "./jobs";
import { People } from "./people";
import "./setup.css";

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
      {Object.keys(project.images).length > 0 && (
        <p class="hint">
          Regions of {project.settings.cell_height} × {project.settings.cell_width} pixels, height by width.
        </p>
      )}
      <Images project={project} />
      <People project={project.id} />
      <Jobs project={project} />
      <Export project={project.id} />
    </main>
  );
}

function Export({ project }: { project: number }) {
  const trouble = useSignal<string | null>(null);
  return (
    <section>
      <h2>Export</h2>
      <ul class="row">
        {FORMATS.map(([format, says]) => {
          const url = apiUrl(`/projects/${project}/export${format === "" ? "" : `?format=${format}`}`);
          return (
            <li key={says}>
              <a
                class="button"
                href={url}
                download=""
                onClick={(event) => {
                  event.preventDefault();
                  trouble.value = null;
                  download(url).catch((error: Error) => (trouble.value = error.message));
                }}
              >
                {says}
              </a>
            </li>
          );
        })}
      </ul>
      {trouble.value !== null && (
        <p class="warning" role="alert">
          {trouble.value}
        </p>
      )}
    </section>
  );
}
