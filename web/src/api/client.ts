/** Calls of the service, with the cookie of the session. */

import type { components } from "./schema";

export type Schemas = components["schemas"];

/** What the service refused, in its own words. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly detail: Record<string, unknown> = {},
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }

  /** Whether the same request may succeed later. */
  get passing(): boolean {
    return this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** The service could not be reached: nobody answered, or somebody in its place. */
export class Unreachable extends Error {}

/** A reload would log in with a proxy as well, but lose files that are not sent yet. */
const ANOTHER_PAGE =
  "The service cannot be reached: another page came in its place. If a proxy asks for a login, log in with it in another tab.";
const NO_ANSWER = "The service cannot be reached: what came is not its answer.";

/** Heard at the window when the service does not know who asks: the session has ended. */
export const UNKNOWN = "regionwise-unknown";

/** What to tell somebody at work of what went wrong. */
export function sentence(error: unknown): string {
  if (error instanceof Unreachable) return `${error.message} Your work is kept in this browser.`;
  return error instanceof Error ? error.message : String(error);
}

/** Paths of the API begin above the page's own folder. */
export function apiUrl(path: string): string {
  return new URL(`..${path}`, document.baseURI).href;
}

export interface Asked {
  /** A form goes as it is, anything else as JSON. */
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** Throws ApiError for what was refused, Unreachable where nobody answered. */
export async function ask<T>(method: string, path: string, asked: Asked = {}): Promise<T> {
  const response = await answered(method, path, asked);
  if (response.status === 204) return undefined as T;
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Unreachable(NO_ANSWER); // cut short, or another's
  }
}

/** The bytes of a file of the service. */
export async function bytes(path: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const response = await answered("GET", path, signal === undefined ? {} : { signal });
  return new Uint8Array(await response.arrayBuffer());
}

/** A file of the service, and what the service calls it; what is refused is no file. */
export async function file(path: string): Promise<{ name: string; content: Blob }> {
  const response = await answered("GET", path, {});
  const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1];
  return { name: name ?? path.split("?")[0]!.split("/").at(-1)!, content: await response.blob() };
}

/** An image of the service, ready to be drawn. */
export async function picture(path: string, signal?: AbortSignal): Promise<ImageBitmap> {
  const response = await answered("GET", path, signal === undefined ? {} : { signal });
  return createImageBitmap(await response.blob(), { imageOrientation: "none" });
}

/** Whether who asks may not have what is there, now or later; what is there is not read. */
export async function isRefused(path: string): Promise<boolean> {
  const stopped = new AbortController();
  try {
    await answered("GET", path, { signal: stopped.signal });
    return false;
  } catch (error) {
    return error instanceof ApiError && [401, 403, 404].includes(error.status);
  } finally {
    stopped.abort();
  }
}

async function answered(method: string, path: string, { body, signal }: Asked): Promise<Response> {
  const headers: Record<string, string> = { "X-Requested-With": "regionwise" };
  const form = body instanceof FormData;
  if (body !== undefined && !form) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(apiUrl(path), {
      method,
      headers,
      credentials: "same-origin",
      ...(body === undefined ? {} : { body: form ? body : JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Unreachable("The service cannot be reached.");
  }
  // A token that is refused says nothing of the session that is there.
  if (response.status === 401 && !(method === "POST" && path === "/session")) dispatchEvent(new Event(UNKNOWN));
  if (!response.ok) throw await refusal(response);
  if (response.headers.get("Content-Type")?.startsWith("text/html")) throw new Unreachable(ANOTHER_PAGE);
  return response;
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

async function refusal(response: Response): Promise<ApiError> {
  const after = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const retryAfter = Number.isFinite(after) ? after : null;
  try {
    const { error } = (await response.json()) as Schemas["ErrorResponse"];
    return new ApiError(response.status, error.code, error.message, error.detail, retryAfter);
  } catch {
    return new ApiError(response.status, "no_answer", `The service answered ${response.status}.`, {}, retryAfter);
  }
}
