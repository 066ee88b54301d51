import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { answer, refused, region, until } from "./browser";
import { Desk } from "../src/annotate/desk";
import { drafts, outboxTable } from "../src/annotate/work";
import { labelMap } from "../src/mask/label_map";
import { decodePng, encodePng } from "../src/mask/png";

const UNLABELLED = 255;
const EARLIER = { region_id: 9, image_name: "9.png", done: "labelled", at: "2026-01-01T00:00:00Z" };

let annotator = 0;
let sent: { region: number; of: number }[];
let reopened: number;
let desk: Desk;
/** What a test has the service do otherwise; undefined: as always. */
let otherwise: (path: string) => unknown;

beforeEach(async () => {
  annotator += 1; // drafts of the one before are none of theirs
  [sent, reopened, otherwise] = [[], 0, () => undefined];
  const drawn = await encodePng(labelMap(10, 8, 0));
  answer(async (method, path, body) => {
    const given = await otherwise(path);
    if (given !== undefined) return given;
    if (path.startsWith("/labels?")) return { items: [EARLIER] };
    if (path.startsWith("/next-regions")) return { items: [1, 2, 3].filter((id) => !isSent(id)).map(region) };
    if (path.endsWith("/reopen")) {
      reopened += 1;
      return region(9);
    }
    if (path.endsWith("/skip")) return {};
    if (path.includes("/context") || path.endsWith("/seen")) return new Response("pixels");
    if (path.endsWith("/label")) return new Response(drawn.slice());
    if (method === "POST" && path === "/labels") {
      for (const label of (body as { labels: { region_id: number; mask_png: string }[] }).labels) {
        const png = Uint8Array.from(atob(label.mask_png), (letter) => letter.charCodeAt(0));
        sent.push({ region: label.region_id, of: (await decodePng(png)).ids[0]! });
      }
      return { labels: [] };
    }
    return undefined;
  });
  desk = new Desk(annotator, 1, UNLABELLED);
});

afterEach(() => desk.close());

const isSent = (id: number) => sent.some((label) => label.region === id);
const hereNow = () => [desk.current.value, ...desk.ready.value].map((task) => task?.region.id);

test("who goes back twice at once gets the region once, and sends what they painted", async () => {
  await desk.open();
  await until(() => desk.ready.value.length === 2);
  const earlier = desk.earlier.value[0]!;
  await Promise.all([desk.goBackTo(earlier), desk.goBackTo(earlier)]);
  expect([reopened, hereNow()]).toEqual([1, [9, 1, 2, 3]]);
  desk.current.value!.map.ids.fill(1);
  await desk.submit();
  await until(() => isSent(9));
  expect(desk.current.value!.region.id).toBe(1);
  expect(sent.filter((label) => label.region === 9)).toEqual([{ region: 9, of: 1 }]);
});

test("a region that cannot be gone back to stays in the list", async () => {
  await desk.open();
  otherwise = (path) => (path.endsWith("/reopen") ? refused(409, "Another annotator holds it.") : undefined);
  await desk.goBackTo(desk.earlier.value[0]!);
  expect(desk.earlier.value).toEqual([EARLIER]);
  expect(desk.trouble.value).toBe("Another annotator holds it.");
});

test("a region whose image cannot be read stops none of the others, and can be skipped", async () => {
  otherwise = (path) => (path.startsWith("/regions/1/context") ? refused(409, "It cannot be read now.") : undefined);
  await desk.open();
  await until(() => desk.ready.value.length === 1);
  expect(hereNow()).toEqual([2, 3]);
  const [unreadable] = desk.unreadable.value;
  expect([unreadable!.region.id, unreadable!.why]).toEqual([1, "It cannot be read now."]);
  const skipped: string[] = [];
  otherwise = (path) => void (path.endsWith("/skip") && skipped.push(path));
  await desk.skipUnreadable(unreadable!);
  expect([skipped, desk.unreadable.value]).toEqual([["/regions/1/skip"], []]);
});

test("what the browser does not keep is sent all the same", async () => {
  await desk.open();
  await until(() => desk.current.value !== null);
  const put = vi.spyOn(outboxTable, "put").mockRejectedValue(new Error("The disk is full."));
  const [{ region: first }, before] = [desk.current.value!, otherwise];
  otherwise = (path) => (path === "/labels" ? refused(503, "Later.") : undefined);
  await desk.submit();
  expect([desk.outbox.unkept.value, desk.outbox.waiting.value.length]).toEqual([true, 1]);
  otherwise = before;
  desk.outbox.flush();
  await until(() => isSent(first.id));
  await until(() => !desk.outbox.unkept.value);
  put.mockRestore();
});

test("a newer version outlives the answer to the one before", async () => {
  await desk.open();
  await until(() => desk.current.value !== null);
  let letThrough: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => (letThrough = resolve));
  let posts = 0;
  otherwise = async (path) => {
    if (path !== "/labels") return undefined;
    posts += 1;
    if (posts > 1) return refused(503, "Later.");
    await asked;
    return undefined;
  };
  const { key } = desk.current.value!;
  await desk.submit();
  await desk.goBack(desk.done.value[0]!);
  desk.current.value!.map.ids.fill(3);
  await new Promise((resolve) => setTimeout(resolve, 5)); // what is kept goes by milliseconds
  await desk.submit();
  letThrough();
  await until(() => !desk.outbox.reached.value);
  expect(desk.outbox.waiting.value.map((parcel) => parcel.ids[0])).toEqual([3]);
  expect((await outboxTable.get(key))?.ids[0]).toBe(3);
  expect(desk.outbox.refused.value).toEqual([]);
});

test("a draft goes with its label, and one that was painted on since stays", async () => {
  await desk.open();
  await until(() => desk.current.value !== null);
  const task = desk.current.value!;
  await task.save();
  await desk.submit();
  await until(() => desk.outbox.waiting.value.length === 0);
  expect(await drafts.get(task.key)).toBeUndefined();
  await drafts.put({ ...task.draft(), savedAt: Date.now() + 10_000 });
  await desk.outbox.add({ ...task.draft(), project: 1, leaseToken: task.leaseToken, imageName: "1.png" });
  await until(() => desk.outbox.waiting.value.length === 0);
  expect(await drafts.get(task.key)).toBeDefined();
});
