import { afterEach, beforeEach, expect, test, vi } from "vitest";
import "./browser";
import { Fetching } from "../src/ui/fetching";

let tries: number;
let there: boolean;
let fetching: Fetching<string>;

beforeEach(() => {
  vi.useFakeTimers();
  [tries, there] = [0, false];
  fetching = new Fetching(async () => {
    tries += 1;
    if (!there) throw new Error("Away.");
    return "map";
  });
});

afterEach(() => {
  fetching.close();
  vi.useRealTimers();
});

test("what cannot be fetched is said, and asked for ever later until it is there", async () => {
  await fetching.again();
  expect([fetching.failed.value, fetching.found.value, tries]).toEqual([true, null, 1]);
  await vi.advanceTimersByTimeAsync(2000);
  expect(tries).toBe(2);
  await vi.advanceTimersByTimeAsync(3999);
  expect(tries).toBe(2);
  there = true;
  await vi.advanceTimersByTimeAsync(1);
  expect([fetching.failed.value, fetching.found.value, tries]).toEqual([false, "map", 3]);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(tries).toBe(3);
});

test("somebody may have it tried at once, and nothing is tried once nobody looks", async () => {
  await fetching.again();
  await fetching.again();
  expect(tries).toBe(2);
  fetching.close();
  await vi.advanceTimersByTimeAsync(600_000);
  expect(tries).toBe(2);
});
