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
  document.addEventListener("click", holdLink, true);
  return () => {
    holder = null;
    document.removeEventListener("click", holdLink, true);
  };
}

function holdLink(event: MouseEvent): void {
  const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("a[href^='#']") : null;
  if (link === null || event.ctrlKey || event.metaKey || event.shiftKey || isHere(routeOf(link.hash))) return;
  event.preventDefault();
  holder?.(() => goTo(link.hash));
}

/** To another address; where the page is held, its own comes back first: the browser was a step back, or was typed at. */
function turn(hash: string): void {
  const next = routeOf(hash);
  if (holder === null || isHere(next)) {
    route.value = next;
    return;
  }
  const { page, project, region, query } = route.value;
  history.pushState(null, "", addressOf(page, project, region, query));
  holder(() => goTo(hash));
}

function isHere({ page, project }: Route): boolean {
  return page === route.value.page && project === route.value.project;
}

function goTo(hash: string): void {
  holder = null;
  location.hash = hash;
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
