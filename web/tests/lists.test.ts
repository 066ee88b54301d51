import { expect, test } from "vitest";
import { answer } from "./browser";
import { all } from "../src/api/lists";

test("a list is asked for until it ends", async () => {
  const pages: Record<string, unknown> = {
    "0": { items: ["a", "b"], next: 7 },
    "7": { items: ["c"], next: 9 },
    "9": { items: ["d"], next: null },
  };
  answer((_, path) => pages[new URLSearchParams(path.split("?")[1]).get("after")!]);
  expect(await all("/projects")).toEqual(["a", "b", "c", "d"]);
});
