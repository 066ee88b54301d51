import { afterEach, beforeEach, expect, test } from "vitest";
import { answer, refused } from "./browser";
import { Queue } from "../src/review/queue";

let waiting: number[];
let decided: (id: number) => unknown;
let queue: Queue;

const row = (id: number) => ({
  id,
  labels: [{ id: 10 * id, mask_url: "/mask" }],
  crop_url: "/crop",
  prediction_url: null,
  image_name: "a.png",
  x: 0,
  y: 0,
});

beforeEach(() => {
  waiting = [1, 2, 3];
  decided = () => ({});
  answer((_, path) => {
    if (path.includes("/reviews?")) return { items: waiting.map(row) };
    if (path === "/projects/1") return { regions: { review: waiting.length } };
    const region = /^\/regions\/(\d+)\/reviews$/.exec(path);
    return region === null ? undefined : decided(Number(region[1]));
  });
  queue = new Queue(1);
});

afterEach(() => queue.close());

const ids = () => queue.waiting.value!.map((each) => each.id);

test("one that is left for later stays behind when the service is asked again", async () => {
  await queue.look();
  queue.later();
  expect(ids()).toEqual([2, 3, 1]);
  await queue.look();
  expect(ids()).toEqual([2, 3, 1]);
});

test("new ones come behind those that are here, and those that others decided about go", async () => {
  await queue.look();
  queue.later();
  waiting = [4, 1, 3];
  await queue.look();
  expect(ids()).toEqual([3, 1, 4]);
});

test("one whose decision is refused comes back behind the others", async () => {
  await queue.look();
  decided = () => refused(409, "It is your own.");
  await queue.decide({ decision: "accepted", label_id: 10 });
  expect(ids()).toEqual([2, 3, 1]);
  expect(queue.trouble.value).toContain("It is your own.");
});
