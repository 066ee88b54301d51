/** Which page is shown: what follows the # of the address, which no server sees. */

import { signal } from "@preact/signals";

const OF_PROJECT = ["project", "annotate", "regions", "review", "people", "setup", "settings"] as const;

export interface Route {
  readonly page: "home" | "new" | (typeof OF_PROJECT)[number];
  readonly project: number;
  /** A region that is opened over the page; 0: none. */
  readonly region: number;
  /** What follows a question mark. */
  readonly query: string;
}

export const route = signal(routeOf(location.hash));
addEventListener("hashchange", () => turn(location.hash));

/** Who is asked before another page is shown. */
let holder: ((go: () => void) => void) | null = null;

/** Keep the page until its work is done, or given up: who wants another one is asked with the way there. Returns what ends that. */
export function holdPage(ask: (go: () => void) => void): () => void {
  holder = ask;
  return () => {
    if (holder === ask) holder = null;
  };
}

function turn(hash: string): void {
  const [next, { page, project, region, query }] = [routeOf(hash), route.value];
  if (holder === null || (next.page === page && next.project === project)) {
    route.value = next;
    return;
  }
  history.replaceState(null, "", addressOf(page, project, region, query));
  holder(() => {
    holder = null;
    location.hash = hash;
  });
}

export function routeOf(hash: string): Route {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const parts = path!.split("/");
  if (parts[0] === "new") return { page: "new", project: 0, region: 0, query };
  const project = Number(parts[1]);
  if (parts[0] !== "projects" || !isNumber(project)) return { page: "home", project: 0, region: 0, query };
  const page = OF_PROJECT.find((name) => name === parts[2]) ?? "project";
  const region = Number(parts[3]);
  return { page, project, region: isNumber(region) ? region : 0, query };
}

/** The address of a page of a project, with a region opened over it. */
export function addressOf(page: string, project: number, region = 0, query = ""): string {
  return `#/projects/${project}/${page}${region > 0 ? `/${region}` : ""}${query === "" ? "" : `?${query}`}`;
}

/** The same page, otherwise asked: no step to go back to. */
export function replaceQuery(query: string): void {
  const { page, project, region } = route.value;
  replaceAddress(addressOf(page, project, region, query));
}

/** Another address in the place of this one: no step to go back to. */
export function replaceAddress(address: string): void {
  history.replaceState(null, "", address);
  route.value = routeOf(location.hash);
}

function isNumber(part: number): boolean {
  return Number.isInteger(part) && part > 0;
}
