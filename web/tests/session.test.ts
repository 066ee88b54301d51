import { beforeEach, expect, test, vi } from "vitest";
import { answer, refused } from "./browser";
import { ask, type Schemas } from "../src/api/client";
import { begin, logIn, logOut, who, why } from "../src/api/session";

const ADA = { name: "ada", role: "annotator", projects: {}, annotator_id: 1 } as unknown as Schemas["WhoOut"];

beforeEach(() => {
  [who.value, why.value] = [undefined, null];
  location.hash = "";
});

test("where a session ends whoever works is told, and may log in", async () => {
  answer(() => ADA);
  await begin();
  expect(who.value).toEqual(ADA);
  answer(() => refused(401, "This needs a token."));
  await expect(ask("GET", "/projects/1")).rejects.toThrow("This needs a token.");
  expect([who.value, why.value]).toEqual([null, expect.stringContaining("Your session has ended.")]);
  answer(() => ADA);
  await logIn("rw_x");
  expect([who.value, why.value]).toEqual([ADA, null]);
});

test("whoever comes without a session is told nothing, and logs in", async () => {
  answer(() => refused(401, "This needs a token."));
  await begin();
  expect([who.value, why.value]).toEqual([null, null]);
});

test("a link that does not log in says why", async () => {
  vi.stubGlobal("history", { replaceState: () => (location.hash = "") });
  vi.stubGlobal("HashChangeEvent", Event);
  location.hash = "#token=rw_old/projects/1";
  answer(() => refused(401, "The token has run out."));
  await begin();
  expect([who.value, why.value]).toEqual([null, "The link does not log in: The token has run out."]);
});

test("where the service is away it is asked again", async () => {
  vi.useFakeTimers();
  answer(() => refused(503, "The database is away."));
  await begin();
  expect([who.value, why.value]).toEqual([undefined, "The database is away."]);
  answer(() => ADA);
  await vi.advanceTimersByTimeAsync(5000);
  vi.useRealTimers();
  expect([who.value, why.value]).toEqual([ADA, null]);
});

test("whoever logs out of a session that has ended is out", async () => {
  who.value = ADA;
  answer(() => refused(401, "This needs a token."));
  await logOut();
  expect([who.value, why.value]).toEqual([null, null]);
});
