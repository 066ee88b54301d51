/** What stands above every page: the way home, the pages of a project for who may see them, and who is logged in. */

import { useEffect } from "preact/hooks";
import { logOut, renew, roleIn, ROLES, stays, type Who } from "./api/session";
import { addressOf, route } from "./routes";

export function Header({ who }: { who: Who }) {
  const { page, project } = route.value;
  // With every page that is opened after the first.
  useEffect(
    () => () => {
      stays.value = null;
      void renew();
    },
    [page, project],
  );
  return (
    <header class="top">
      <a href="#/" class="brand">
        regionwise
      </a>
      {project > 0 && <Tabs project={project} who={who} />}
      <span class="who">
        {stays.value !== null && (
          <span class="warning" role="alert" title={stays.value}>
            {stays.value}
          </span>
        )}
        <span class="name" title={who.name}>
          {who.name}
        </span>
        <button type="button" onClick={() => void logOut()}>
          Log out
        </button>
      </span>
    </header>
  );
}

const TABS = [
  ["project", "Overview", "reviewer"],
  ["annotate", "Annotate", "annotator"],
  ["regions", "Regions", "reviewer"],
  ["review", "Review", "reviewer"],
  ["people", "Annotators", "reviewer"],
  ["setup", "Set up", "admin"],
  ["settings", "Settings", "admin"],
] as const;

function Tabs({ project, who }: { project: number; who: Who }) {
  return (
    <nav aria-label="Project">
      {TABS.filter(([page]) => maySee(who, project, page)).map(([page, says]) => (
        <a
          key={page}
          href={page === "project" ? `#/projects/${project}` : addressOf(page, project)}
          aria-current={route.value.page === page ? "page" : undefined}
        >
          {says}
        </a>
      ))}
    </nav>
  );
}

/** What a page of a project is called. */
export function nameOf(page: string): string {
  return TABS.find(([each]) => each === page)?.[1] ?? page;
}

/** Whom a page of a project is for. */
export function meantFor(page: string): string {
  return TABS.find(([each]) => each === page)?.[2] ?? "admin";
}

export function maySee(who: Who, project: number, page: string): boolean {
  const rank = (role: string | undefined) => ROLES.findIndex((each) => each === role);
  return rank(roleIn(who, project)) >= rank(meantFor(page));
}
