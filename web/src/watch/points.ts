/** What the overview's curves are drawn from: the rounds that were learned from, in one of three measures. */

import type { Schemas } from "../api/client";
import { asked, fixed, percent, short } from "./words";

export type Progress = Schemas["ProgressOut"];
export type Round = Schemas["RoundOut"];
type Point = Progress["points"][number];

export const MEASURES = {
  regions: { says: "Regions", axis: "labelled regions" },
  pixels: { says: "Pixels", axis: "labelled pixels" },
  hours: { says: "Hours", axis: "hours of annotators" },
} as const;
export type Measure = keyof typeof MEASURES;

/** How much is labelled at a round, in a measure. */
export function amount(point: Point, by: Measure): number {
  return by === "hours" ? point.seconds / 3600 : point[by];
}

export interface Drawn {
  readonly x: number;
  readonly y: number;
  readonly says: readonly string[];
}

/** The points of the learning curve: rounds after which mIoU was measured. */
export function curve(points: readonly Point[], by: Measure): Drawn[] {
  return measured(points).map((point) => ({
    x: amount(point, by),
    y: point.miou!,
    says: [
      `Round ${point.round}: ${percent(point.miou)}`,
      `${short(amount(point, by))} ${MEASURES[by].axis}`,
      `asked by ${asked(point)}`,
    ],
  }));
}

export interface Break {
  readonly x: number;
  readonly says: string;
}

/** Where another strategy or policy began to ask: at what was labelled before its first round. */
export function breaks(points: readonly Point[], by: Measure): Break[] {
  const found: Break[] = [];
  points.forEach((point, at) => {
    const before = points[at - 1];
    if (before !== undefined && asked(before) !== asked(point))
      found.push({ x: amount(before, by), says: asked(point) });
  });
  return found;
}

/** Rounds after which mIoU was measured. */
export function measured(points: readonly Point[]): Point[] {
  return points.filter((point) => point.miou !== null);
}

/** By how much mIoU has changed since the first round that was measured; null before a second one. */
export function gained(points: readonly Point[]): number | null {
  const known = measured(points);
  return known.length < 2 ? null : known.at(-1)!.miou! - known[0]!.miou!;
}

/** The curve as rows of a table. */
export function rows(points: readonly Point[]): string[][] {
  return measured(points).map((point) => [
    String(point.round),
    asked(point),
    point.regions.toLocaleString(),
    point.pixels.toLocaleString(),
    fixed(point.seconds / 3600, 2),
    percent(point.miou),
  ]);
}

export interface OfClass {
  readonly name: string;
  readonly color: readonly number[];
  readonly place: number;
  readonly values: readonly { readonly round: number; readonly x: number; readonly y: number | null }[];
  readonly newest: number | null;
  readonly change: number | null;
}

type Named = Pick<Schemas["ClassOut"], "name" | "was" | "color">;

/** The IoU of each class after each round that measured it, by regions labelled; a class is found by names it had before, too. */
export function byClass(classes: readonly Named[], rounds: readonly Round[], points: readonly Point[]): OfClass[] {
  const regions = new Map(points.map((point) => [point.round, point.regions]));
  const told = rounds.filter((round) => round.state === "told" && round.iou_per_class !== null);
  const inOrder = [...told].sort((one, other) => one.number - other.number);
  return classes.map((each, place) => {
    const values = inOrder.map((round) => ({
      round: round.number,
      x: regions.get(round.number) ?? 0,
      y: valueOf(round.iou_per_class!, each),
    }));
    const known = values.flatMap((value) => (value.y === null ? [] : [value.y]));
    const change = known.length < 2 ? null : known.at(-1)! - known[0]!;
    return { name: each.name, color: each.color, place, values, newest: known.at(-1) ?? null, change };
  });
}

function valueOf(ious: Readonly<Record<string, number | null>>, each: Named): number | null {
  const name = [each.name, ...[...(each.was ?? [])].reverse()].find((one) => one in ious);
  return name === undefined ? null : (ious[name] ?? null);
}

export const ORDERS = { classes: "Class order", lowest: "Lowest first", highest: "Highest first" } as const;
export type Order = keyof typeof ORDERS;

/** Classes in an order; those without a value come last. */
export function sorted(classes: readonly OfClass[], order: Order): OfClass[] {
  if (order === "classes") return [...classes];
  const sign = order === "lowest" ? 1 : -1;
  const worth = (each: OfClass) => (each.newest === null ? Infinity : sign * each.newest);
  return [...classes].sort((one, other) => worth(one) - worth(other) || one.place - other.place);
}
