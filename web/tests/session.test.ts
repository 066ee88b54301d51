import { beforeEach, expect, test, vi } from "vitest";
import { answer, refused, until } from "./browser";
import { ask, type Schemas } from "../src/api/client";
import { begin, logIn, logOut, renew, stays, who, why } from "../src/api/session";

const ADA = { name: "ada", role: "annotator", projects: {}, annotator_id: 1 } as unknown as Schemas["WhoOut"];

vi.stubGlobal("history", {
  replaceState: (_: null, __: "", address: string) => (location.hash = address.split("app/")[1]!),
});
vi.stubGlobal("HashChangeEvent", Event);

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
  location.hash = "#token=rw_old/projects/1";
  answer(() => refused(401, "The token has run out."));
  await begin();
  expect([who.value, why.value]).toEqual([null, "The link does not log in: The token has run out."]);
});

test("who is logged in stays so where a link is refused, and is told", async () => {
  const heard: unknown[] = [];
  const stop = who.subscribe((now) => heard.push(now));
  const link = (method: string) => (method === "POST" ? refused(401, "Nobody holds this token.") : ADA);
  answer(link);
  who.value = ADA;
  location.hash = "#token=rw_old/projects/1";
  dispatchEvent(new Event("hashchange"));
  await until(() => stays.value !== null);
  expect(stays.value).toBe("The link does not log in: Nobody holds this token. You are still logged in as ada.");
  expect(heard).not.toContain(null);
  stop();
  [who.value, stays.value] = [undefined, null];
  location.hash = "#token=rw_old/projects/1";
  await begin();
  expect([who.value, why.value]).toEqual([ADA, null]);
  expect(stays.value).toContain("You are still logged in as ada.");
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

test("a link that is opened where the page stands logs in, and leaves no token in the address", async () => {
  const eve = { ...ADA, name: "eve", annotator_id: 2 };
  answer(() => ADA);
  await begin();
  const sent: unknown[] = [];
  answer((method, path, body) => {
    sent.push([method, path, body]);
    return eve;
  });
  location.hash = "#token=rw_eve/projects/1/annotate";
  dispatchEvent(new Event("hashchange"));
  await until(() => who.value?.name === "eve");
  expect(sent).toEqual([["POST", "/session", { token: "rw_eve" }]]);
  expect(location.hash).toBe("#/projects/1/annotate");
});

test("whoever cannot be logged out is told, and stays", async () => {
  who.value = ADA;
  answer(() => Promise.reject(new TypeError("Failed to fetch")));
  await logOut();
  expect([who.value, stays.value]).toEqual([ADA, "You are still logged in: The service cannot be reached."]);
  answer(() => ({}));
  await logOut();
  expect([who.value, stays.value]).toEqual([null, null]);
});

test("a role that somebody was given meanwhile is seen without another login", async () => {
  who.value = ADA;
  answer(() => ({ ...ADA, projects: { "7": "reviewer" } }));
  await renew();
  expect(who.value.projects).toEqual({ "7": "reviewer" });
  answer(() => refused(503, "The database is away."));
  await renew();
  expect(who.value.projects).toEqual({ "7": "reviewer" });
});
