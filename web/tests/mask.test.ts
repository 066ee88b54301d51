import fc from "fast-check";
import { expect, test } from "vitest";
import { covers, stamp, stroke } from "../src/mask/brush";
import { type Features, unlikeness } from "../src/mask/features";
import { fillArea, fillPolygon, replaceClass } from "../src/mask/fill";
import { History } from "../src/mask/history";
import { type LabelMap, copyOf, counts, labelMap, same } from "../src/mask/label_map";
import { decodePng, encodePng } from "../src/mask/png";
import { cut, levels } from "../src/mask/smart_fill";

const size = fc.integer({ min: 1, max: 24 });
const maps = fc
  .tuple(size, size)
  .chain(([width, height]) =>
    fc
      .array(fc.integer({ min: 0, max: 3 }), { minLength: width * height, maxLength: width * height })
      .map((ids): LabelMap => ({ width, height, ids: Uint8Array.from(ids) })),
  );
const place = fc.record({
  x: fc.double({ min: -5, max: 30, noNaN: true }),
  y: fc.double({ min: -5, max: 30, noNaN: true }),
});
const brushes = fc.record({
  shape: fc.constantFrom("round" as const, "square" as const),
  size: fc.integer({ min: 1, max: 12 }),
});

test("a stamp sets the pixels whose middles it covers, and the one that it points at", () => {
  fc.assert(
    fc.property(maps, brushes, place, (map, brush, { x, y }) => {
      const expected = copyOf(map);
      for (let row = 0; row < map.height; row++)
        for (let col = 0; col < map.width; col++)
          if (covers(brush, col + 0.5 - x, row + 0.5 - y) || (Math.floor(x) === col && Math.floor(y) === row))
            expected.ids[row * map.width + col] = 9;
      stamp(map, brush, x, y, 9);
      expect(same(map, expected)).toBe(true);
    }),
  );
});

test("a stroke has no gaps: it goes over whatever lies on its line", () => {
  fc.assert(
    fc.property(brushes, place, place, (brush, from, to) => {
      const map = labelMap(30, 30, 0);
      stroke(map, brush, from, to, 1);
      for (let part = 0; part <= 1; part += 0.01) {
        const [x, y] = [Math.floor(from.x + (to.x - from.x) * part), Math.floor(from.y + (to.y - from.y) * part)];
        // Half a pixel's step may miss a corner that the line just touches.
        const near = [-1, 0, 1].some((dy) => [-1, 0, 1].some((dx) => at(map, x + dx, y + dy) === 1));
        if (x >= 1 && y >= 1 && x < 29 && y < 29) expect(near).toBe(true);
      }
    }),
  );
});

test("filling an area reaches what a search pixel by pixel reaches", () => {
  fc.assert(
    fc.property(maps, fc.nat(), fc.nat(), (map, a, b) => {
      const [x, y] = [a % map.width, b % map.height];
      const old = at(map, x, y);
      const expected = copyOf(map);
      const look = (col: number, row: number): void => {
        if (at(expected, col, row) !== old) return;
        expected.ids[row * map.width + col] = 9;
        for (const [dx, dy] of [
          [1, 0],
          [-1, 0],
          [0, 1],
          [0, -1],
        ] as const)
          look(col + dx, row + dy);
      };
      look(x, y);
      fillArea(map, x, y, 9);
      expect(same(map, expected)).toBe(true);
    }),
  );
});

test("a polygon sets the pixels whose middles lie within it", () => {
  fc.assert(
    fc.property(maps, fc.array(place, { minLength: 3, maxLength: 7 }), (map, points) => {
      const expected = copyOf(map);
      for (let row = 0; row < map.height; row++)
        for (let col = 0; col < map.width; col++)
          if (inside(points, col + 0.5, row + 0.5)) expected.ids[row * map.width + col] = 9;
      fillPolygon(map, points, 9);
      expect(same(map, expected)).toBe(true);
    }),
  );
});

test("replacing a class leaves none of it, and the others alone", () => {
  fc.assert(
    fc.property(maps, (map) => {
      const before = counts(map);
      replaceClass(map, 1, 2);
      const after = counts(map);
      expect([after[0], after[1], after[2], after[3]]).toEqual([before[0], 0, before[1]! + before[2]!, before[3]]);
    }),
  );
});

test("whatever was done is undone, and done again, step by step", () => {
  const steps = fc.array(fc.tuple(brushes, place, place, fc.integer({ min: 0, max: 5 })), { maxLength: 120 });
  fc.assert(
    fc.property(maps, steps, (map, done) => {
      const history = new History();
      const states = [copyOf(map)];
      for (const [brush, from, to, id] of done) {
        const before = copyOf(map);
        if (history.record(before, map, stroke(map, brush, from, to, id))) states.push(copyOf(map));
      }
      for (let step = states.length - 2; step >= 0; step--) {
        history.undo(map);
        expect(same(map, states[step]!)).toBe(true);
      }
      expect(history.canUndo).toBe(false);
      for (let step = 1; step < states.length; step++) {
        history.redo(map);
        expect(same(map, states[step]!)).toBe(true);
      }
    }),
    { numRuns: 40 },
  );
});

test("a label map survives PNG", async () => {
  await fc.assert(
    fc.asyncProperty(maps, async (map) => {
      expect(same(await decodePng(await encodePng(map)), map)).toBe(true);
    }),
    { numRuns: 30 },
  );
});

test("smart fill keeps to its side of an edge, and the slider takes it over", () => {
  const [width, height] = [20, 10];
  const rgba = new Uint8ClampedArray(4 * width * height);
  for (let at = 0; at < width * height; at++) rgba.fill(at % width < 10 ? 40 : 200, 4 * at, 4 * at + 3);
  const level = levels(rgba, width, height, 2, 5);
  const low = cut(level, 10);
  expect([low[5 * width + 2], low[5 * width + 8], low[5 * width + 12]]).toEqual([1, 1, 0]);
  expect(cut(level, 255).every((each) => each === 1)).toBe(true);
});

test("smart fill keeps to what is alike in another way where there are no edges", () => {
  const [width, height] = [20, 10];
  const flat = new Uint8ClampedArray(4 * width * height).fill(90);
  const unlike = Uint8Array.from({ length: width * height }, (_, at) => (at % width < 12 ? 0 : 200));
  const low = cut(levels(flat, width, height, 2, 5, unlike), 20);
  expect(Array.from(low)).toEqual(Array.from(unlike, (each) => (each === 0 ? 1 : 0)));
  const alike = new Uint8Array(width * height);
  expect(levels(flat, width, height, 2, 5, alike)).toEqual(levels(flat, width, height, 2, 5));
});

test("between cells features are interpolated, and beyond the last they are those of the last", () => {
  const cells = fc.record({
    channels: fc.integer({ min: 1, max: 3 }),
    rows: fc.integer({ min: 1, max: 4 }),
    cols: fc.integer({ min: 1, max: 4 }),
    stride: fc.constantFrom(1, 2, 4, 8),
    left: fc.integer({ min: -8, max: 4 }),
    top: fc.integer({ min: -8, max: 4 }),
    seed: fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 48, maxLength: 48 }),
  });
  fc.assert(
    fc.property(cells, fc.nat(20), fc.nat(20), ({ seed, ...shape }, x, y) => {
      const values = Uint8Array.from(seed.slice(0, shape.channels * shape.rows * shape.cols));
      const features: Features = { ...shape, values };
      const part = { left: 0, top: 0, width: 21, height: 21 };
      const found = unlikeness(features, part, x, y);
      expect(found[y * 21 + x]).toBe(0);
      for (const [col, row] of [
        [0, 0],
        [20, 7],
        [3, 20],
      ] as const) {
        let square = 0;
        for (let channel = 0; channel < shape.channels; channel++) {
          square += (plain(features, channel, col, row) - plain(features, channel, x, y)) ** 2;
        }
        expect(Math.abs(found[row * 21 + col]! - Math.min(255, Math.sqrt(square)))).toBeLessThan(1.01);
      }
    }),
  );
});

/** Bilinear interpolation as a weighted sum over all cells. */
function plain(features: Features, channel: number, x: number, y: number): number {
  const clamp = (value: number, count: number) => Math.min(count - 1, Math.max(0, value));
  const across = clamp((x + 0.5 - features.left) / features.stride, features.cols);
  const down = clamp((y + 0.5 - features.top) / features.stride, features.rows);
  let sum = 0;
  for (let row = 0; row < features.rows; row++)
    for (let col = 0; col < features.cols; col++)
      sum +=
        Math.max(0, 1 - Math.abs(row - down)) *
        Math.max(0, 1 - Math.abs(col - across)) *
        features.values[(channel * features.rows + row) * features.cols + col]!;
  return sum;
}

test("the level of a pixel is the least hardest step of all ways there", () => {
  const pixels = fc
    .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }))
    .chain(([width, height]) =>
      fc
        .uint8Array({ minLength: 4 * width * height, maxLength: 4 * width * height })
        .map((rgba) => ({ width, height, rgba })),
    );
  fc.assert(
    fc.property(pixels, fc.nat(), ({ width, height, rgba }, where) => {
      const start = where % (width * height);
      const [x, y] = [start % width, Math.floor(start / width)];
      const level = levels(new Uint8ClampedArray(rgba), width, height, x, y);
      // At every cut, what is chosen hangs together with the place that was clicked.
      for (const most of new Set(level)) {
        const chosen = cut(level, most);
        const map: LabelMap = { width, height, ids: chosen.slice() };
        fillArea(map, x, y, 7);
        expect(Array.from(map.ids).filter((id) => id === 1)).toEqual([]);
      }
    }),
  );
});

function at(map: LabelMap, x: number, y: number): number | undefined {
  return x >= 0 && y >= 0 && x < map.width && y < map.height ? map.ids[y * map.width + x] : undefined;
}

function inside(points: readonly { x: number; y: number }[], x: number, y: number): boolean {
  let odd = false;
  points.forEach((from, at) => {
    const to = points[(at + 1) % points.length]!;
    if (from.y <= y !== to.y <= y && from.x + ((y - from.y) / (to.y - from.y)) * (to.x - from.x) > x) odd = !odd;
  });
  return odd;
}
