import fc from "fast-check";
import { expect, test } from "vitest";
import type { Schemas } from "../src/api/client";
import { fromZero, nearest, scale, ticks } from "../src/watch/axes";
import { amount, breaks, byClass, curve, gained, type Round, rows, sorted } from "../src/watch/points";
import { regionsAsked, saving, soFar, winner } from "../src/watch/savings";
import { percentDone } from "../src/watch/job_words";
import { asked, change, exact, moment, percent, points } from "../src/watch/words";

type Point = Schemas["ProgressOut"]["points"][number];

const point = (round: number, given: Partial<Point> = {}): Point => ({
  round,
  strategy: "entropy",
  policy_id: null,
  told_at: null,
  regions: 10 * round,
  pixels: 1000 * round,
  seconds: 900 * round,
  labels: 10 * round,
  untimed: 0,
  miou: (3 + round) / 10,
  ...given,
});

test("marks of an axis are multiples of a round number, from nothing on, and not too many", () => {
  const sizes = fc.double({ min: 1e-3, max: 1e9, noNaN: true });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 3, max: 9 }), (high, most) => {
      const found = ticks(0, high, most);
      expect(found[0]).toBe(0);
      expect(found.length).toBeLessThanOrEqual(most + 1);
      expect(found.length).toBeGreaterThan(1);
      expect(found.at(-1)).toBeLessThanOrEqual(high * (1 + 1e-6));
      expect("125").toContain((found[1] ?? 0).toExponential()[0]);
    }),
  );
  expect(ticks(0, 100, 5)).toEqual([0, 20, 40, 60, 80, 100]);
});

test("an axis goes from nothing to a little above the most", () => {
  expect(fromZero([])).toEqual([0, 1]);
  expect(fromZero([0])).toEqual([0, 1]);
  expect(fromZero([50, 100])).toEqual([0, 104]);
  expect(scale(0, 100, 20, 220)(25)).toBe(70);
  expect(scale(0, 1, 200, 0)(0.25)).toBe(150);
});

test("the point that is pointed at is the one nearest, mostly sideways", () => {
  const places = [
    { x: 0, y: 0 },
    { x: 10, y: 90 },
    { x: 40, y: 0 },
  ];
  expect(nearest(places, 2, 3)).toBe(0);
  expect(nearest(places, 30, 0)).toBe(2);
  expect(nearest([], 1, 1)).toBe(-1);
});

test("the curve has the rounds that were measured, in the measure that is chosen", () => {
  const points = [point(1), point(2, { miou: null }), point(3)];
  expect(curve(points, "regions").map(({ x, y }) => [x, y])).toEqual([
    [10, 0.4],
    [30, 0.6],
  ]);
  expect(curve(points, "hours").map(({ x }) => x)).toEqual([0.25, 0.75]);
  expect(amount(points[1]!, "pixels")).toBe(2000);
  expect(curve(points, "regions")[0]!.says.join(" ")).toBe("Round 1: 40.0\u00a0% 10 labelled regions asked by entropy");
  expect(gained(points)).toBeCloseTo(0.2);
  expect(gained([point(1)])).toBeNull();
  expect(rows(points).map((row) => row[0])).toEqual(["1", "3"]);
});

test("a break is where another strategy or policy began, at what was labelled until then", () => {
  const learned = { strategy: "learned" };
  const points = [
    point(1, { strategy: "random" }),
    point(2, learned),
    point(3, learned),
    point(4, { ...learned, policy_id: 7 }),
    point(5, { ...learned, policy_id: 7 }),
  ];
  expect(breaks(points, "regions")).toEqual([
    { x: 10, says: "the shipped policy" },
    { x: 30, says: "own policy 7" },
  ]);
  expect(asked(point(1, { strategy: "import" }))).toBe("imported labels");
});

const round = (number: number, ious: Record<string, number | null>): Round =>
  ({ number, state: "told", iou_per_class: ious }) as unknown as Round;

test("classes keep their course through other names, and are in order of what they have", () => {
  const classes = [
    { name: "Way", was: ["Road"], color: [1, 2, 3] },
    { name: "Sky", was: [], color: [1, 2, 3] },
    { name: "Bus", was: [], color: [1, 2, 3] },
  ];
  const rounds = [round(2, { Way: 0.5, Sky: 0.7, Bus: null }), round(1, { Road: 0.4, Sky: 0.8 })];
  const found = byClass(classes, rounds, [point(1), point(2)]);
  expect(found.map((each) => each.values.map((value) => value.y))).toEqual([
    [0.4, 0.5],
    [0.8, 0.7],
    [null, null],
  ]);
  expect(found[0]!.values.map((value) => value.x)).toEqual([10, 20]);
  expect(found.map((each) => each.newest)).toEqual([0.5, 0.7, null]);
  expect(found[0]!.change).toBeCloseTo(0.1);
  const names = (order: "classes" | "lowest" | "highest") => sorted(found, order).map((each) => each.name);
  expect(names("classes")).toEqual(["Way", "Sky", "Bus"]);
  expect(names("lowest")).toEqual(["Way", "Sky", "Bus"]);
  expect(names("highest")).toEqual(["Sky", "Way", "Bus"]);
});

const choice = (given: Partial<Schemas["ChoiceOut"]> = {}): Schemas["ChoiceOut"] => ({
  by: "own",
  areas: { own: 45, shipped: 44, random: 42 },
  saved: { miou: 51, random_cells: 400, cells: 200, share: 0.5, low: 0.4, high: 0.6 },
  games: 10,
  courses: {},
  ...given,
});

test("what was saved is said with its interval, and of the regions that a strategy asked for", () => {
  const own = { strategy: "learned", policy_id: 4 };
  const points = [point(1, { strategy: "random" }), point(2, own), point(3, own), point(4, { strategy: "learned" })];
  expect(["own", "shipped", "random", "entropy"].map((by) => regionsAsked(points, by))).toEqual([20, 10, 10, 0]);
  const { known, sentences } = saving(choice(), points, true);
  expect(known).toBe(true);
  expect(sentences[0]).toContain("took 200 regions to the mIoU of 51.0\u00a0% that random took 400 for");
  expect(sentences[0]).toContain("50\u00a0% fewer (95\u00a0% interval: 40\u00a0% to 60\u00a0%)");
  expect(sentences[1]).toContain("about 20 labels (95\u00a0% interval: 13 to 30), with 20 regions that it asked for");
});

test("where nothing can be said, it is said why and what to do", () => {
  const nothing = { areas: null, saved: null, games: null };
  expect(saving(choice(nothing), [], false).sentences.join(" ")).toMatch(/No policy was trained.*Run train-policy/);
  expect(saving(choice(nothing), [], true).sentences[0]).toContain("was not compared");
  expect(saving(choice(nothing), [], true).known).toBe(false);
  const lost = choice({ by: "random", areas: { random: 45, own: 40 }, saved: null });
  expect(saving(lost, [], true).sentences[0]).toContain("nothing was ahead of random");
  const never = choice({ saved: { miou: 51, random_cells: 400, cells: null, share: null, low: null, high: null } });
  expect(saving(never, [], true).known).toBe(false);
  expect(saving(choice({ by: "entropy" }), [point(1)], true).sentences[1]).toContain("asked for by entropy");
  expect(saving(choice({ games: 1 }), [point(1)], true).sentences[0]).toContain("In 1 held-out game on");
});

test("more may be asked for than random would have, and an interval may have no bound", () => {
  expect(soFar(-0.25, -0.5, 0, 100)).toContain("about 20 labels too many (95\u00a0% interval: −33 to 0)");
  expect(soFar(0.5, 0.2, 1, 100)).toContain("25 to no bound");
  expect(soFar(0.5, null, null, 0)).toBeNull();
});

test("the best of the games is the one of the largest area, the shipped policy where two have it", () => {
  expect(winner(choice())).toBe("own");
  expect(winner(choice({ areas: { own: 45, shipped: 45, random: 1 } }))).toBe("shipped");
  expect(winner(choice({ areas: null }))).toBeNull();
});

test("figures are written as they are read", () => {
  expect([percent(0.4213), percent(null), percent(1, 0)]).toEqual(["42.1\u00a0%", "–", "100\u00a0%"]);
  expect([change(0.02), change(-0.013), change(null)]).toEqual(["+2.0", "−1.3", "–"]);
  expect([exact(1536), exact(12.25), exact(40)]).toEqual(["1,536", "12.3", "40"]);
  expect([0.29, 0.57, 0.996, 1].map(percentDone)).toEqual([29, 57, 99, 100]);
  const now = new Date(2026, 0, 5, 12);
  expect(moment(new Date(2026, 0, 5, 14, 30).toISOString(), now)).toMatch(/^2:30.PM$/);
  expect(moment(new Date(2026, 0, 7, 14, 30).toISOString(), now)).toContain("7");
});

test("a difference that is shown as nothing is no loss", () => {
  expect([change(-0.0004), points(-0.0004) < 0]).toEqual(["+0.0", false]);
  expect([change(-0.0006), points(-0.0006) < 0]).toEqual(["−0.1", true]);
});
