/** Who is logged in. */

import { signal } from "@preact/signals";
import { ApiError, ask, type Schemas, UNKNOWN, Unreachable } from "./client";

export type Who = Schemas["WhoOut"];

const TRY_AGAIN_MILLISECONDS = 3000;

/** undefined: not yet known; null: nobody. */
export const who = signal<Who | null | undefined>(undefined);
/** Why nobody is logged in, or why that is not known yet, where there is something to say. */
export const why = signal<string | null>(null);

addEventListener(UNKNOWN, () => {
  if (who.value) nobody("Your session has ended. What you painted is kept in this browser: log in to go on.");
});

/** Find out by the cookie, or log in with a token that came with the link. Servers never see what follows a link's #. */
export async function begin(): Promise<void> {
  const token = /^#token=(rw_[\w-]+)(.*)$/.exec(location.hash);
  if (token !== null) {
    history.replaceState(null, "", `${location.pathname}#${token[2] || "/"}`);
    dispatchEvent(new HashChangeEvent("hashchange")); // replacing tells nobody
  }
  await findOut(token === null ? null : token[1]!);
}

async function findOut(token: string | null): Promise<void> {
  try {
    await (token === null ? ask<Who>("GET", "/session").then(somebody) : logIn(token));
  } catch (error) {
    if (error instanceof ApiError && !error.passing) {
      nobody(token === null ? null : `The link does not log in: ${error.message}`);
      return;
    }
    why.value = error instanceof Unreachable ? `${error.message} Trying again…` : (error as Error).message;
    setTimeout(() => void findOut(token), TRY_AGAIN_MILLISECONDS);
  }
}

export async function logIn(token: string): Promise<void> {
  somebody(await ask<Who>("POST", "/session", { body: { token } }));
}

export async function logOut(): Promise<void> {
  try {
    await ask("DELETE", "/session");
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 401)) throw error;
  }
  nobody(null);
}

function somebody(found: Who): void {
  why.value = null;
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
