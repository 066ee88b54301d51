import { expect, test, vi } from "vitest";
import { signal } from "@preact/signals";
import { answer, refused } from "./browser";
import { UNKNOWN } from "../src/api/client";
import { classesOf } from "../src/setup/classes";
import { download } from "../src/setup/download";
import { regionsOf } from "../src/setup/grid";
import { once } from "../src/ui/once";

test("regions that an edge cuts short count, and an image smaller than a region is one", () => {
  const cell = { height: 90, width: 80 };
  expect(regionsOf({ height: 100, width: 100 }, cell)).toBe(4);
  expect(regionsOf({ height: 180, width: 160 }, cell)).toBe(4);
  expect(regionsOf({ height: 90, width: 81 }, cell)).toBe(2);
  expect(regionsOf({ height: 5, width: 5 }, cell)).toBe(1);
});

test("a class whose name is of spaces alone is refused by its number", () => {
  const own = (name: string) => [
    { name: "Road", color: "#102030" },
    { name, color: "#ffffff" },
  ];
  expect(() => classesOf(own("  "))).toThrow("Class 1 has no name.");
  expect(classesOf(own(" Car ")).classes).toEqual([
    { id: 0, name: "Road", color: [16, 32, 48] },
    { id: 1, name: "Car", color: [255, 255, 255] },
  ]);
});

test("what is asked for while something is done is left, and what fails may be done again", async () => {
  const busy = signal(false);
  let times = 0;
  const doing = async () => {
    times++;
    if (times === 1) throw new Error("It failed.");
  };
  const [first, second] = await Promise.allSettled([once(busy, doing), once(busy, doing)]);
  expect([first.status, second.status, times]).toEqual(["rejected", "fulfilled", 1]);
  await once(busy, doing);
  expect([times, busy.value]).toEqual([2, false]);
});

test("nothing is downloaded once the session has ended, and the login comes up", async () => {
  let [heard, clicked] = [0, 0];
  addEventListener(UNKNOWN, () => heard++);
  const link = { href: "", download: "?", click: () => clicked++ };
  vi.stubGlobal("document", { baseURI: "http://service/app/", createElement: () => link });
  answer(() => refused(401, "This needs a token."));
  await expect(download("http://service/projects/1/export")).rejects.toThrow("This needs a token.");
  expect([heard, clicked]).toEqual([1, 0]);
  answer(() => ({ name: "ada" }));
  await download("http://service/projects/1/export");
  expect([heard, clicked, link.href, link.download]).toEqual([1, 1, "http://service/projects/1/export", ""]);
});
