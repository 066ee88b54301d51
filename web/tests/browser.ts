/** As much of a browser as modules without a page need, and a service whose answers a test gives. */

import "fake-indexeddb/auto";
import { vi } from "vitest";
import type { Region } from "../src/annotate/task";

class Pixels {
  readonly data: Uint8ClampedArray;
  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.data = new Uint8ClampedArray(4 * width * height);
  }
}

class Canvas {
  constructor(
    readonly width: number,
    readonly height: number,
  ) {}
  getContext() {
    return { putImageData: () => undefined, drawImage: () => undefined };
  }
}

vi.stubGlobal("window", globalThis);
vi.stubGlobal("document", { baseURI: "http://service/app/", visibilityState: "visible" });
vi.stubGlobal("location", { hash: "", pathname: "/app/" });
vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => undefined });
vi.stubGlobal("ImageData", Pixels);
vi.stubGlobal("OffscreenCanvas", Canvas);
vi.stubGlobal("createImageBitmap", () => Promise.resolve({ width: 10, height: 8 }));
const heard = new EventTarget();
vi.stubGlobal("addEventListener", heard.addEventListener.bind(heard));
vi.stubGlobal("removeEventListener", heard.removeEventListener.bind(heard));
vi.stubGlobal("dispatchEvent", heard.dispatchEvent.bind(heard));

export type Answering = (method: string, path: string, body: unknown) => unknown;

/** Answer all that is asked for: with JSON, a Response, or 404 where nothing is given. */
export function answer(by: Answering): void {
  vi.stubGlobal("fetch", async (url: string, asked: { method: string; body?: string | FormData }) => {
    const body: unknown = typeof asked.body === "string" ? JSON.parse(asked.body) : asked.body;
    const found = await by(asked.method, url.replace("http://service", ""), body);
    if (found instanceof Response) return found;
    return found === undefined ? refused(404, "There is none.") : new Response(JSON.stringify(found));
  });
}

export function refused(status: number, message: string): Response {
  return new Response(JSON.stringify({ error: { code: "refused", message, detail: {} } }), { status });
}

/** A region of 10 x 8 pixels that is ours. */
export function region(id: number): Region {
  return {
    id,
    image_id: id,
    image_name: `${id}.png`,
    x: 0,
    y: 0,
    width: 10,
    height: 8,
    round: 1,
    prediction_url: null,
    lease_token: `token-${id}`,
    lease_expires_at: new Date(Date.now() + 900_000).toISOString(),
  } as unknown as Region;
}

/** Wait for something to be so. */
export async function until(so: () => boolean): Promise<void> {
  await vi.waitFor(() => {
    if (!so()) throw new Error(`This never came: ${so.toString()}`);
  }, 5000);
}
