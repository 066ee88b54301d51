/** Who is logged in. */

import { signal } from "@preact/signals";
import { ApiError, ask, type Schemas, UNKNOWN, Unreachable } from "./client";

export type Who = Schemas["WhoOut"];

/** Roles in a project, each of which may do what those before it may. */
export const ROLES = ["annotator", "reviewer", "admin"] as const;

const TRY_AGAIN_MILLISECONDS = 3000;

/** undefined: not yet known; null: nobody. */
export const who = signal<Who | null | undefined>(undefined);
/** Why nobody is logged in, or why that is not known yet, where there is something to say. */
export const why = signal<string | null>(null);
/** Why who is logged in still is, where they wanted to be out, or somebody else. */
export const stays = signal<string | null>(null);

addEventListener(UNKNOWN, () => {
  if (who.value) nobody("Your session has ended. What you painted is kept in this browser: log in to go on.");
});

// A link may be opened where the page stands already.
addEventListener("hashchange", () => {
  const token = takeToken();
  if (token !== null) void findOut(token);
});

/** Find out by the cookie, or log in with a token that came with the link. */
export async function begin(): Promise<void> {
  await findOut(takeToken());
}

/** Take a link's token out of the address, if there is one. Servers never see what follows a link's #. */
function takeToken(): string | null {
  const found = /^#token=(rw_[\w-]+)(.*)$/.exec(location.hash);
  if (found === null) return null;
  history.replaceState(null, "", `${location.pathname}#${found[2] || "/"}`);
  dispatchEvent(new HashChangeEvent("hashchange")); // replacing tells nobody
  return found[1]!;
}

/** How often it was asked who is there: only what was asked for last counts. */
let asked = 0;

/** With a token that is refused it is asked who is there without it; `refused` says so then. */
async function findOut(token: string | null, turn = ++asked, refused: string | null = null): Promise<void> {
  try {
    const found = await (token === null ? ask<Who>("GET", "/session") : entered(token));
    if (turn !== asked) return;
    somebody(found);
    if (refused !== null) stays.value = `${refused} You are still logged in as ${found.name}.`;
  } catch (error) {
    if (turn !== asked) return;
    if (error instanceof ApiError && !error.passing) {
      if (token === null) nobody(refused);
      else await findOut(null, turn, `The link does not log in: ${error.message}`);
      return;
    }
    why.value = error instanceof Unreachable ? `${error.message} Trying again…` : (error as Error).message;
    setTimeout(() => turn === asked && void findOut(token, turn, refused), TRY_AGAIN_MILLISECONDS);
  }
}

export async function logIn(token: string): Promise<void> {
  const turn = ++asked;
  const found = await entered(token);
  if (turn === asked) somebody(found);
}

async function entered(token: string): Promise<Who> {
  return ask<Who>("POST", "/session", { body: { token } });
}

/** Where it does not succeed it is said why in `stays`. */
export async function logOut(): Promise<void> {
  stays.value = null;
  try {
    await ask("DELETE", "/session");
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 401)) {
      stays.value = `You are still logged in: ${(error as Error).message}`;
      return;
    }
  }
  nobody(null);
}

/** See again what who is logged in may do: somebody may have given them another role. */
export async function renew(): Promise<void> {
  const found = await ask<Who>("GET", "/session").catch(() => null); // then it stays as it was known
  const known = who.value;
  if (found === null || !known || found.annotator_id !== known.annotator_id) return;
  if (JSON.stringify(found) !== JSON.stringify(known)) who.value = found;
}

function somebody(found: Who): void {
  [why.value, stays.value] = [null, null];
  who.value = found;
}

function nobody(said: string | null): void {
  why.value = said;
  who.value = null;
}

/** The caller's role in a project. */
export function roleIn(caller: Who, project: number): string | undefined {
  return caller.role === "admin" ? "admin" : caller.projects[String(project)];
}

/** Whether who is logged in may set the project up. */
export function maySetUp(project: number): boolean {
  return who.value ? roleIn(who.value, project) === "admin" : false;
}
