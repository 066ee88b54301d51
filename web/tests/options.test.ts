import { beforeEach, expect, test, vi } from "vitest";
import "./browser";

let stored: Map<string, string>;

beforeEach(() => {
  stored = new Map();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, text: string) => stored.set(key, text),
  });
});

/** The options as a page that is opened anew has them. */
async function opened() {
  vi.resetModules();
  return import("../src/annotate/options");
}

test.each([
  [18, 3],
  [10, 3],
  [36, 6],
  [80, 12],
])("a brush that nobody has set suits a region whose shorter side is %i pixels with %i", async (side, size) => {
  const options = await opened();
  options.shorterSide.value = side;
  options.turnShape();
  expect(options.brush.value).toEqual({ shape: "square", size });
});

test("a brush that was set stays for other regions, and for another visit", async () => {
  const options = await opened();
  options.shorterSide.value = 18;
  options.resize(1);
  options.shorterSide.value = 80;
  expect(options.brush.value.size).toBe(4);
  options.setSize(12);
  const later = await opened();
  later.shorterSide.value = 18;
  expect(later.brush.value).toEqual({ shape: "round", size: 12 });
});

test("of what earlier versions kept, a size that was set stays, and the one that nobody set goes", async () => {
  stored.set("regionwise.brush", '{"shape":"square","size":9}');
  expect((await opened()).brush.value).toEqual({ shape: "square", size: 9 });
  stored.set("regionwise.brush", '{"shape":"round","size":12}');
  const options = await opened();
  options.shorterSide.value = 18;
  expect(options.brush.value).toEqual({ shape: "round", size: 3 });
});
