import { beforeEach, expect, test, vi } from "vitest";
import { answer, refused, until } from "./browser";
import { Inviting } from "../src/setup/inviting";
import { copied } from "../src/ui/copy";

vi.stubGlobal("location", { hash: "", origin: "http://service", pathname: "/app/" });

let known: string[];
let members: Map<string, string>;
let asked: string[];
/** What goes wrong, by what is asked for. */
let wrong: Record<string, () => unknown>;

function failed(status: number, code: string, message: string, detail = {}): Response {
  return new Response(JSON.stringify({ error: { code, message, detail } }), { status });
}

beforeEach(() => {
  [known, members, asked, wrong] = [["bob"], new Map(), [], {}];
  answer((method, path, body) => {
    const what = `${method} ${path.split("?")[0]}`;
    if (method !== "GET") asked.push(what);
    if (wrong[what] !== undefined) return wrong[what]();
    if (method === "GET") return { items: [...members].map(([name, role]) => ({ name, role })), next: null };
    const { name, role } = body as { name: string; role: string };
    if (method === "PATCH") members.set(known[Number(path.split("/").at(-1))]!, role);
    else if (path === "/annotators") known.push(name);
    else if (!known.includes(name)) return failed(404, "annotator_not_found", `Nobody is called ${name}.`);
    else if ((members.get(name) ?? role) !== role) {
      return failed(409, "member_exists", "They are a member already.", { annotator_id: known.indexOf(name) });
    } else members.set(name, role);
    return { token: "rw_new" };
  });
});

test("whom the service knows becomes a member, without a link", async () => {
  const inviting = new Inviting(1, true);
  expect(await inviting.invite(" bob ", "reviewer")).toBe(true);
  expect([inviting.said.value, inviting.links.value]).toEqual(["bob is a member now.", []]);
  await until(() => inviting.members.value.length === 1);
  expect(inviting.members.value).toEqual([{ name: "bob", role: "reviewer" }]);
  expect(asked).toEqual(["POST /projects/1/members"]);
});

test("whom nobody knows is added to the service first, and gets a link", async () => {
  const inviting = new Inviting(1, true);
  expect(await inviting.invite("carl", "annotator")).toBe(true);
  const url = "http://service/app/#token=rw_new/projects/1/annotate";
  expect(inviting.links.value).toEqual([{ name: "carl", url }]);
  expect(members.get("carl")).toBe("annotator");
});

test("an admin of the project alone is told who makes links, and adds nobody to the service", async () => {
  const inviting = new Inviting(1, false);
  expect(await inviting.invite("carl", "annotator")).toBe(false);
  expect(inviting.trouble.value).toContain("Nobody is called carl.");
  expect(inviting.trouble.value).toContain("only an admin of the service");
  expect(asked).toEqual(["POST /projects/1/members"]);
  expect(await inviting.invite("bob", "annotator")).toBe(true);
});

test("a link is kept whatever follows, and the membership is tried again", async () => {
  const inviting = new Inviting(1, true);
  wrong["POST /annotators"] = () => {
    wrong["POST /projects/1/members"] = () => refused(503, "The database is away.");
    known.push("carl");
    return { token: "rw_new" };
  };
  expect(await inviting.invite("carl", "annotator")).toBe(false);
  expect(inviting.links.value.map(({ name }) => name)).toEqual(["carl"]);
  expect(inviting.trouble.value).toContain("carl has a link but is no member yet");
  wrong = {};
  expect(await inviting.invite("carl", "annotator")).toBe(true);
  expect([inviting.trouble.value, inviting.links.value.length, members.has("carl")]).toEqual([null, 1, true]);
});

test("a project that is open to all has taken somebody new in already, and their role is changed", async () => {
  wrong["POST /annotators"] = () => {
    known.push("carl");
    members.set("carl", "annotator");
    return { token: "rw_new" };
  };
  const inviting = new Inviting(1, true);
  expect(await inviting.invite("carl", "reviewer")).toBe(true);
  expect(members.get("carl")).toBe("reviewer");
});

test("members of long standing keep their role", async () => {
  members.set("bob", "admin");
  const inviting = new Inviting(1, true);
  expect(await inviting.invite("bob", "annotator")).toBe(false);
  expect([inviting.trouble.value, members.get("bob")]).toEqual(["They are a member already.", "admin"]);
});

test("who is invited twice at once is invited once", async () => {
  const inviting = new Inviting(1, true);
  const both = await Promise.all([inviting.invite("carl", "annotator"), inviting.invite("carl", "annotator")]);
  expect([both, inviting.trouble.value]).toEqual([[true, false], null]);
  expect(asked.filter((each) => each === "POST /annotators").length).toBe(1);
});

test("where pages may not use the clipboard what is to be copied is selected", async () => {
  const done: string[] = [];
  const field = { value: "link", focus: () => undefined, select: () => done.push("selected") };
  vi.stubGlobal("navigator", {});
  vi.stubGlobal("document", { execCommand: (what: string) => done.push(what) > 0 });
  expect(await copied(field as unknown as HTMLInputElement)).toBe(true);
  expect(done).toEqual(["selected", "copy"]);
  vi.stubGlobal("document", { execCommand: () => false });
  expect(await copied(field as unknown as HTMLInputElement)).toBe(false);
});
