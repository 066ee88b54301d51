/** Who is logged in. */

import { signal } from "@preact/signals";
import { ApiError, ask, type Schemas } from "./client";

export type Who = Schemas["WhoOut"];

/** undefined: not yet known; null: nobody. */
export const who = signal<Who | null | undefined>(undefined);

/** Find out by the cookie, or log in with a token that came with the link. Servers never see what follows a link's #. */
export async function begin(): Promise<void> {
  const token = /^#token=(rw_[\w-]+)(.*)$/.exec(location.hash);
  if (token !== null) {
    history.replaceState(null, "", `${location.pathname}#${token[2] || "/"}`);
    dispatchEvent(new HashChangeEvent("hashchange")); // replacing tells nobody
    await logIn(token[1]!);
    return;
  }
  try {
    who.value = await ask<Who>("GET", "/session");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    who.value = null;
  }
}

export async function logIn(token: string): Promise<void> {
  who.value = await ask<Who>("POST", "/session", { body: { token } });
}

export async function logOut(): Promise<void> {
  await ask("DELETE", "/session");
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
