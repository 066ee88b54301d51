/** The pages of one project, which is shown as it is now. */

import { useSignal } from "@preact/signals";
import { Annotate } from "./annotate/page";
import { ask, type Schemas } from "./api/client";
import type { Who } from "./api/session";
import { maySee, meantFor, nameOf } from "./header";
import { Correct } from "./review/correct";
import { Review } from "./review/page";
import { addressOf, replaceAddress, route } from "./routes";
import { Setup } from "./setup/page";
import { ProjectSettings } from "./setup/settings";
import { useTitle } from "./title";
import { Annotators } from "./watch/annotators";
import { Gallery } from "./watch/gallery";
import { useLive } from "./watch/live";
import { Overview } from "./watch/overview";

interface OfProjectProps {
  readonly number: number;
  readonly who: Who;
}

export function OfProject({ number, who }: OfProjectProps) {
  const project = useSignal<Schemas["ProjectDetail"] | null>(null);
  const { page } = route.value;
  // Annotators hear of no changes, and who paints keeps what they began with.
  const heard = maySee(who, number, "project") && page !== "annotate" ? number : null;
  const trouble = useLive(heard, ["project"], async (signal) => {
    project.value = await ask<Schemas["ProjectDetail"]>("GET", `/projects/${number}`, { signal });
  });
  useTitle(project.value === null ? [nameOf(page)] : [nameOf(page), project.value.name]);
  if (project.value === null) {
    return trouble.value === null ? <p class="waiting">…</p> : <p class="waiting warning">{trouble.value}</p>;
  }
  if (!maySee(who, number, page) && page !== "annotate") return <NotFor page={page} project={number} />;
  return (
    <>
      {trouble.value !== null && page !== "annotate" && (
        <p class="warning over" role="alert">
          {trouble.value}
        </p>
      )}
      <Page project={project.value} who={who} />
    </>
  );
}

function Page({ project, who }: { project: Schemas["ProjectDetail"]; who: Who }) {
  const { page, region, query } = route.value;
  if (page === "annotate") return <Annotate annotator={who.annotator_id} project={project} />;
  if (page === "people") return <Annotators project={project.id} />;
  if (page === "setup") return <Setup project={project} />;
  if (page === "settings") return <ProjectSettings project={project} annotator={who.annotator_id} />;
  if (page !== "review" && page !== "regions") return <Overview project={project} />;
  const close = () => replaceAddress(addressOf(page, project.id, 0, page === "regions" ? query : ""));
  return (
    <>
      <div class="under" inert={region > 0}>
        {page === "review" ? <Review project={project} /> : <Gallery project={project} />}
      </div>
      {region > 0 && (
        <Correct key={region} project={project} region={region} reviewer={who.annotator_id} close={close} />
      )}
    </>
  );
}

function NotFor({ page, project }: { page: string; project: number }) {
  return (
    <main class="home">
      <h1>{nameOf(page)}</h1>
      <p>This page is for {meantFor(page) === "admin" ? "admins" : "reviewers"} of the project.</p>
      <p>
        <a class="button main" href={addressOf("annotate", project)}>
          Annotate
        </a>
      </p>
    </main>
  );
}
