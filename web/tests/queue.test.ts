import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { answer, refused } from "./browser";
import { Queue } from "../src/review/queue";

let waiting: number[];
let decided: (id: number) => unknown;
let away: boolean;
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
  away = false;
  answer((_, path) => {
    if (away) return refused(503, "Away.");
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

const accepted = () => queue.decide({ decision: "accepted", label_id: 10 });

test("decisions that nobody answers to leave all regions where they were, and say of which", async () => {
  waiting = [1, 2, 3, 4, 5, 6, 7];
  await queue.look();
  answer(() => Promise.reject(new TypeError("Failed to fetch")));
  await Promise.all([accepted(), accepted(), accepted()]);
  expect([ids(), queue.count.value, queue.pending.value]).toEqual([[1, 2, 3, 4, 5, 6, 7], 7, 0]);
  await accepted();
  expect(ids()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(queue.trouble.value).toBe("a.png (0, 0): The service cannot be reached.");
  expect(queue.decided.value).toBeNull();
});

test("where it cannot be seen what waits it is looked again, and no more is said once it can", async () => {
  vi.useFakeTimers();
  const own = new Queue(1);
  waiting = [1, 2, 3, 4, 5, 6, 7];
  await own.look();
  away = true;
  await own.look();
  expect([own.unseen.value, own.trouble.value]).toEqual(["Away.", null]);
  away = false;
  waiting = [4, 5, 6, 7, 8, 9];
  await vi.advanceTimersByTimeAsync(6000);
  vi.useRealTimers();
  own.close();
  expect(own.unseen.value).toBeNull();
  expect(own.waiting.value!.map((each) => each.id)).toEqual([4, 5, 6, 7, 8, 9]);
});
