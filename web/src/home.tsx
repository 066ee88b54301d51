/** The caller's projects. */

import { useSignal } from "@preact/signals";
import type { Schemas } from "./api/client";
import { all } from "./api/lists";
import { roleIn, type Who } from "./api/session";
import { useLive } from "./watch/live";

export function Home({ who }: { who: Who }) {
  const projects = useSignal<Schemas["ProjectOut"][] | null>(null);
  const trouble = useLive(null, [], async (signal) => {
    projects.value = await all<Schemas["ProjectOut"]>("/projects", signal);
  });
  return (
    <main class="home">
      <h1>Projects</h1>
      {trouble.value !== null && (
        <p class="warning" role="alert">
          {trouble.value}
        </p>
      )}
      {projects.value?.length === 0 && <p>There is no project that you are a member of yet.</p>}
      {who.role === "admin" && (
        <p>
          <a class="button main" href="#/new">
            New project
          </a>
        </p>
      )}
      <ul class="cards">
        {projects.value?.map((project) => (
          <li key={project.id}>
            <h2>{project.name}</h2>
            <p class="classes">
              {project.classes.map((each) => (
                <span
                  key={each.id}
                  class="swatch"
                  title={each.name}
                  style={{ backgroundColor: `rgb(${each.color.join(" ")})` }}
                />
              ))}
            </p>
            <p>
              {project.active ? "" : "Paused. "}
              {project.classes.length} classes
            </p>
            <p class="row">
              <a class="button main" href={`#/projects/${project.id}/annotate`}>
                Annotate
              </a>
              {roleIn(who, project.id) !== "annotator" && (
                <a class="button" href={`#/projects/${project.id}`}>
                  Overview
                </a>
              )}
            </p>
          </li>
        ))}
      </ul>
    </main>
  );
}
