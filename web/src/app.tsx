/** The page: whoever is not logged in logs in first. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Annotate } from "./annotate/page";
import { ask, type Schemas } from "./api/client";
import { logOut, roleIn, who, type Who, why } from "./api/session";
import { Home } from "./home";
import { Login } from "./login";
import { addressOf, route } from "./routes";
import { Correct } from "./review/correct";
import { Review } from "./review/page";
import { Create } from "./setup/create";
import { Setup } from "./setup/page";
import { Annotators } from "./watch/annotators";
import { Gallery } from "./watch/gallery";
import { Overview } from "./watch/overview";

export function App() {
  if (who.value === undefined) return <p class="waiting">{why.value ?? "…"}</p>;
  if (who.value === null) return <Login />;
  return <Inside who={who.value} />;
}

function Inside({ who }: { who: Who }) {
  const { page, project } = route.value;
  return (
    <>
      <header class="top">
        <a href="#/" class="brand">
          regionwise
        </a>
        {project > 0 && <Tabs project={project} who={who} />}
        <span class="who">
          {who.name}
          <button type="button" onClick={() => void logOut()}>
            Log out
          </button>
        </span>
      </header>
      {page === "home" && <Home who={who} />}
      {page === "new" && <Create />}
      {project > 0 && <OfProject key={project} number={project} who={who} />}
    </>
  );
}

const TABS = [
  ["project", "Overview", "reviewer"],
  ["annotate", "Annotate", "annotator"],
  ["regions", "Regions", "reviewer"],
  ["review", "Review", "reviewer"],
  ["people", "Annotators", "reviewer"],
  ["setup", "Set up", "admin"],
] as const;
const RANKS = ["annotator", "reviewer", "admin"];

function Tabs({ project, who }: { project: number; who: Who }) {
  const rank = RANKS.indexOf(roleIn(who, project) ?? "");
  return (
    <nav aria-label="Project">
      {TABS.filter(([, , role]) => RANKS.indexOf(role) <= rank).map(([page, says]) => (
        <a
          key={page}
          href={`#/projects/${project}${page === "project" ? "" : `/${page}`}`}
          aria-current={route.value.page === page ? "page" : undefined}
        >
          {says}
        </a>
      ))}
    </nav>
  );
}

function OfProject({ number, who }: { number: number; who: Who }) {
  const project = useSignal<Schemas["ProjectDetail"] | null>(null);
  const trouble = useSignal<string | null>(null);
  useEffect(() => {
    ask<Schemas["ProjectDetail"]>("GET", `/projects/${number}`).then(
      (found) => (project.value = found),
      (error: Error) => (trouble.value = error.message),
    );
  }, [number]);
  if (trouble.value !== null) return <p class="waiting warning">{trouble.value}</p>;
  if (project.value === null) return <p class="waiting">…</p>;
  if (route.value.page === "annotate") return <Annotate annotator={who.annotator_id} project={project.value} />;
  const { page, region, query } = route.value;
  if (page === "review" || page === "regions") {
    const close = () => (location.hash = addressOf(page, number, 0, page === "regions" ? query : ""));
    return (
      <>
        <div class="under" inert={region > 0}>
          {page === "review" ? <Review project={project.value} /> : <Gallery project={project.value} />}
        </div>
        {region > 0 && (
          <Correct key={region} project={project.value} region={region} reviewer={who.annotator_id} close={close} />
        )}
      </>
    );
  }
  if (route.value.page === "people") return <Annotators project={number} />;
  if (route.value.page === "setup") return <Setup project={project.value} />;
  return <Overview project={project.value} />;
}
