import { beforeEach, expect, test } from "vitest";
import { type Answering, answer, refused } from "./browser";
import { UNKNOWN } from "../src/api/client";
import { Upload, uploadOf } from "../src/setup/upload";

const POOL = { split: "pool", reading: "" };
const REWARD = { split: "reward", reading: "" };
const file = (name: string) => new File(["pixels"], name);
const files = (...names: string[]) => names.map(file);

interface Sent {
  readonly path: string;
  readonly split: FormDataEntryValue | null;
  readonly names: string[];
}

let asked: Sent[];
let upload: Upload;

/** The service takes all but what the test refuses. */
function taking(refuse: (sent: Sent) => Response | null = () => null): void {
  const by: Answering = (_, path, body) => {
    const form = body as FormData;
    const names = [...form.getAll("image"), ...form.getAll("label_map")].map((each) => (each as File).name);
    const sent = { path, split: form.get("split"), names };
    asked.push(sent);
    return refuse(sent) ?? { items: names.map(() => ({ status: "created", regions: [1] })) };
  };
  answer(by);
}

beforeEach(() => {
  asked = [];
  upload = new Upload(1);
});

test("a session that ends in the midst shows the login, and the files are kept and sent again", async () => {
  let heard = 0;
  addEventListener(UNKNOWN, () => heard++);
  taking(() => refused(401, "This needs a token."));
  await upload.take(files("a.png", "b.png"), "images", POOL);
  expect([heard, upload.refused.value, upload.unsent.value.length]).toEqual([1, [], 2]);
  expect(upload.trouble.value).toBe("This needs a token.");
  taking();
  await upload.send();
  expect([upload.sent.value, upload.unsent.value, upload.trouble.value]).toEqual([2, [], null]);
});

test("an outage costs one request, whatever a proxy answers, and all is kept in order", async () => {
  taking(() => new Response("<html>Bad gateway</html>", { status: 502 }));
  const many = Array.from({ length: 45 }, (_, at) => file(`${at}.png`));
  await upload.take(many, "images", POOL);
  expect(asked.length).toBe(1);
  expect([upload.trouble.value, upload.refused.value]).toEqual(["The service answered 502.", []]);
  taking();
  await upload.send();
  expect(asked.slice(1).flatMap((each) => each.names)).toEqual(many.map((each) => each.name));
  expect([upload.sent.value, upload.total.value]).toEqual([45, 45]);
});

test("nobody answers: files that come meanwhile are sent with the others", async () => {
  answer(() => Promise.reject(new TypeError("Failed to fetch")));
  await upload.take(files("a.png"), "images", POOL);
  expect(upload.trouble.value).toBe("The service cannot be reached.");
  taking();
  await upload.take(files("b.png"), "images", POOL);
  expect(asked.flatMap((each) => each.names)).toEqual(["a.png", "b.png"]);
});

test("what is refused is counted apart, and forgiven once it is taken", async () => {
  taking(({ names }) => (names.includes("b.png") ? refused(422, "b.png: This is no image.") : null));
  await upload.take(files("a.png", "b.png", "c.png"), "images", POOL);
  expect(upload.refused.value).toEqual([{ kind: "images", name: "b.png", reason: "This is no image." }]);
  expect([upload.sent.value, upload.refusals.value, upload.total.value]).toEqual([2, 1, 3]);
  await upload.take(files("b.png"), "images", POOL);
  expect(upload.refused.value.length).toBe(1);
  taking();
  await upload.take(files("b.png"), "images", POOL);
  expect([upload.refused.value, upload.sent.value, upload.total.value]).toEqual([[], 3, 3]);
});

test("a label map that is refused stays so while an image of its name is taken", async () => {
  taking(({ path }) => (path.endsWith("label-maps") ? refused(422, "There is no such image.") : null));
  await upload.take(files("a.png"), "labels", POOL);
  await upload.take(files("a.png"), "images", POOL);
  expect(upload.refused.value.map(({ kind, name }) => [kind, name])).toEqual([["label-maps", "a.png"]]);
});

test("images that wait for a label map go into the split that they came for", async () => {
  taking();
  await upload.take(files("a.png"), "images", REWARD);
  await upload.take(files("b.png", "a.png"), "labels", { split: "train", reading: "" });
  expect(asked).toEqual([]);
  await upload.take(files("a.npy"), "labels", REWARD);
  expect(asked).toEqual([{ path: "/projects/1/images", split: "reward", names: ["a.png", "a.npy"] }]);
});

test("a second label map of an image is refused by name", async () => {
  await upload.take(files("a.png", "a.npy"), "labels", REWARD);
  expect(upload.refused.value.map(({ name }) => name)).toEqual(["a.npy"]);
  expect(upload.refused.value[0]!.reason).toContain("a.png");
});

test("an upload is found again, and a page with unsent files asks before it is left", async () => {
  const left = () => !dispatchEvent(new Event("beforeunload", { cancelable: true }));
  taking(() => refused(503, "The database is away."));
  await uploadOf(1, 7).take(files("a.png"), "images", POOL);
  expect(uploadOf(1, 7).unsent.value.length).toBe(1);
  expect(uploadOf(2, 7).unsent.value.length).toBe(0);
  expect(left()).toBe(true);
  taking();
  await uploadOf(1, 7).send();
  expect(left()).toBe(false);
  taking(() => refused(503, "The database is away."));
  await uploadOf(1, 7).take(files("b.png"), "images", POOL);
  uploadOf(1, 7).leave();
  expect([uploadOf(1, 7).trouble.value, left()]).toEqual([null, false]);
  await uploadOf(1, 7).take(files("c.png"), "images", REWARD);
  expect(left()).toBe(true);
});
