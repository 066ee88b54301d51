import { signal } from "@preact/signals";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { answer, refused } from "./browser";
import { ask } from "../src/api/client";
import { follow } from "../src/watch/live";

/** A stream that a test has say something. */
class Stream extends EventTarget {
  static readonly CLOSED = 2;
  static opened: Stream[] = [];
  readyState = 1;
  constructor() {
    super();
    Stream.opened.push(this);
  }
  close() {
    this.readyState = Stream.CLOSED;
  }
  listen() {
    this.dispatchEvent(new Event("listening"));
  }
  fail() {
    this.readyState = Stream.CLOSED;
    this.dispatchEvent(new Event("error"));
  }
}

const trouble = signal<string | null>(null);
let looks: number;
let stop: () => void;

const look = async () => {
  looks += 1;
  await ask("GET", "/projects/1");
};

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", Stream);
  Object.assign(document, { addEventListener: () => undefined, removeEventListener: () => undefined });
  Stream.opened = [];
  [looks, trouble.value] = [0, null];
});

afterEach(() => {
  stop();
  vi.useRealTimers();
});

test("what could not be seen because nobody answered is looked at again, though nothing has changed", async () => {
  answer(() => Promise.reject(new TypeError("Failed to fetch")));
  stop = follow(1, ["project"], look, trouble);
  Stream.opened[0]!.listen();
  await vi.advanceTimersByTimeAsync(100);
  expect([looks, trouble.value]).toEqual([2, "The service cannot be reached."]);
  answer(() => ({}));
  await vi.advanceTimersByTimeAsync(4000);
  expect([looks, trouble.value]).toEqual([3, null]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(looks).toBe(3);
});

test("what is refused is not asked for again by itself", async () => {
  answer(() => refused(403, "This is for reviewers."));
  stop = follow(null, [], look, trouble);
  await vi.advanceTimersByTimeAsync(60_000);
  expect([looks, trouble.value]).toEqual([1, "This is for reviewers."]);
});

test("who may not hear of changes does not ask for ever", async () => {
  answer((_, path) => (path === "/projects/1/live" ? refused(403, "This is for reviewers.") : {}));
  stop = follow(1, ["project"], look, trouble);
  Stream.opened[0]!.fail();
  await vi.advanceTimersByTimeAsync(120_000);
  expect([looks, Stream.opened.length]).toEqual([1, 1]);
});

test("where a stream cannot be had for now all look now and then, and it is asked for again", async () => {
  answer((_, path) => (path === "/projects/1/live" ? refused(503, "Too many listen.") : {}));
  stop = follow(1, ["project"], look, trouble);
  Stream.opened[0]!.fail();
  await vi.advanceTimersByTimeAsync(31_000);
  expect([looks > 8, Stream.opened.length]).toEqual([true, 2]);
});

test("where a stream is open and a proxy passes nothing of it on all look now and then, until something is heard", async () => {
  answer(() => ({}));
  stop = follow(1, ["project"], look, trouble);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(looks).toBe(4);
  Stream.opened[0]!.listen();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([looks, Stream.opened.length]).toEqual([5, 1]);
});
