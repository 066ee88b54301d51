import { beforeEach, expect, test, vi } from "vitest";
import { answer, refused } from "./browser";
import { who, type Who } from "../src/api/session";
import { mayChange, type Standing, Standings } from "../src/watch/standings";

const ADA = { name: "ada", role: "annotator", projects: { "1": "admin" }, annotator_id: 1 } as unknown as Who;
const BEN = { name: "ben", role: "annotator", annotator_id: 2, paused_at: null } as Standing;

let roles: Map<number, string | null>;
let asked: unknown[];
let standings: Standings;

beforeEach(async () => {
  roles = new Map([
    [1, "admin"],
    [2, "annotator"],
  ]);
  asked = [];
  who.value = ADA;
  answer((method, path, body) => {
    if (path.startsWith("/session")) return { ...ADA, projects: { "1": roles.get(1) } };
    if (method !== "GET") asked.push([method, path, body]);
    const member = Number(path.split("/")[4]);
    if (method === "PATCH") roles.set(member, (body as { role: string }).role);
    if (method === "DELETE") roles.set(member, null);
    return { items: [...roles].map(([annotator_id, role]) => ({ annotator_id, role })), next: null };
  });
  standings = new Standings(1);
  await standings.look();
});

const shown = () => standings.rows.value!.map((each) => each.role);

test("a member is given another role, and removed", async () => {
  await standings.change(BEN, "reviewer");
  expect(shown()).toEqual(["admin", "reviewer"]);
  await standings.remove(BEN);
  expect(shown()).toEqual(["admin", null]);
  expect(asked).toEqual([
    ["PATCH", "/projects/1/members/2", { role: "reviewer" }],
    ["DELETE", "/projects/1/members/2", undefined],
  ]);
});

test("what is refused is said, and those who are there are shown as they are", async () => {
  answer((method) =>
    method === "GET" ? { items: [], next: null } : refused(404, "Annotator 2 is no member of project 1."),
  );
  await standings.change(BEN, "admin");
  expect([standings.refused.value, standings.rows.value]).toEqual(["Annotator 2 is no member of project 1.", []]);
});

test("whoever changes their own role is known by the new one at once", async () => {
  await standings.change({ ...BEN, annotator_id: 1 }, "reviewer");
  expect(who.value?.projects).toEqual({ "1": "reviewer" });
});

test("admins of the project change others, not themselves nor who is no member; admins of the service all members", () => {
  const own = { ...BEN, annotator_id: 1 };
  expect(mayChange(ADA, 1, BEN)).toBe(true);
  expect(mayChange(ADA, 1, own)).toBe(false);
  expect(mayChange(ADA, 1, { ...BEN, role: null })).toBe(false);
  expect(mayChange(ADA, 2, BEN)).toBe(false);
  expect(mayChange({ ...ADA, projects: { "1": "reviewer" } }, 1, BEN)).toBe(false);
  expect(mayChange({ ...ADA, role: "admin" }, 1, own)).toBe(true);
  expect(mayChange(null, 1, BEN)).toBe(false);
});

test("the table is saved under the service's name, and an error is said and saved as no file", async () => {
  const saved: string[] = [];
  const link = { href: "", download: "", click: () => saved.push(link.download) };
  vi.stubGlobal("document", { baseURI: "http://service/app/", createElement: () => link });
  vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:table");
  const headers = { "Content-Disposition": 'attachment; filename="annotators-1.csv"' };
  answer((_, path) =>
    path === "/projects/1/annotators?format=csv" ? new Response("annotator_id,name\r\n", { headers }) : undefined,
  );
  await standings.saveCsv();
  expect([saved, standings.refused.value]).toEqual([["annotators-1.csv"], null]);
  answer(() => refused(403, "This is for members of the project."));
  await standings.saveCsv();
  expect([saved.length, standings.refused.value]).toEqual([
    1,
    "The table was not saved: This is for members of the project.",
  ]);
});
