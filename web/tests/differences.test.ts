import { expect, test } from "vitest";
import { differing, share } from "../src/mask/differences";

const map = (...ids: number[]) => ({ width: ids.length, height: 1, ids: Uint8Array.from(ids) });

test("a pixel differs where any of the others gives it another class", () => {
  const found = differing(map(1, 1, 2, 3), [map(1, 2, 2, 3), map(1, 1, 2, 0)]);
  expect([...found]).toEqual([0, 1, 0, 1]);
  expect(share(found)).toBe(0.5);
  expect(share(differing(map(1, 2), []))).toBe(0);
});
