/** What may change of a project: what it is called, what it is typed with, and what is typed as the API takes it. */

import type { Schemas } from "../api/client";
import type { Choices } from "./strategies";

export type Settings = Schemas["ProjectSettings"];
/** The settings, and what the API has beside them. */
export type Values = Settings & Pick<Schemas["ProjectOut"], "name" | "open_to_all">;
export type Name = keyof Values;

export interface Field {
  readonly name: Name;
  readonly says: string;
  readonly hint?: string;
  /** Whether it takes the room of two. */
  readonly wide?: boolean;
  /** What it is typed with. */
  readonly by: Numbers | Words | Line | "check" | "segmenter";
}

export interface Numbers {
  readonly least: number;
  readonly most: number;
  /** Steps between numbers; any, where there are none. */
  readonly step: 1 | "any";
  /** Whether a share is typed as percent. */
  readonly percent?: boolean;
  readonly unit?: string;
  /** What an empty field means; without it the field may not be empty. */
  readonly none?: string;
}

export interface Words {
  readonly choices: Choices;
  /** Whether the API takes them as numbers, and none as null. */
  readonly numbers?: boolean;
}

/** A line that is not empty. */
export interface Line {
  /** Characters at most. */
  readonly longest: number;
}

export interface Group {
  readonly says: string;
  readonly hint?: string;
  /** Whether it is rarely changed. */
  readonly folded: boolean;
  readonly fields: readonly Field[];
}

export function valuesOf({ name, open_to_all, settings }: Schemas["ProjectOut"]): Values {
  return { ...settings, name, open_to_all };
}

/** What the API takes where these are to change; what is undefined is not sent. */
export function patchOf({ name, open_to_all, ...settings }: Partial<Values>): object {
  return { name, open_to_all, settings: Object.keys(settings).length > 0 ? settings : undefined };
}

/** A setting as it is typed. */
export function textOf({ by }: Field, value: unknown): string {
  if (value === null || value === undefined) return "";
  if (isPercent(by)) return String(rounded(100 * (value as number)));
  return String(value);
}

/** What was typed, as the API takes it. */
export function valueOf({ by }: Field, text: string): unknown {
  if (by === "check") return text === "true";
  if (by === "segmenter" || "longest" in by) return text.trim();
  if ("choices" in by && !by.numbers) return text;
  if (text === "") return null;
  return isPercent(by) ? rounded(Number(text) / 100) : Number(text);
}

/** A setting in a word or two. */
export function wordsOf({ by }: Field, text: string): string {
  if (by === "check") return text === "true" ? "yes" : "no";
  if (by === "segmenter") return text;
  if ("longest" in by) return text.trim() || "nothing";
  if ("choices" in by) return by.choices.find(([word]) => word === text)?.[1].split(/[:,] /)[0] ?? text;
  if (text === "") return by.none ?? "nothing";
  return by.unit === undefined ? text : `${text} ${by.unit}`;
}

function isPercent(by: Field["by"]): boolean {
  return typeof by === "object" && "percent" in by && by.percent === true;
}

/** Without what a percent leaves behind in binary: 0.07 x 100 is 7. */
function rounded(value: number): number {
  return Number(value.toPrecision(12));
}
