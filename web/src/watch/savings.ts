/** What asking by a strategy has saved against random, in sentences. */

import type { Schemas } from "../api/client";
import { contender, counted, fixed, percent, SURE } from "./words";

type Choice = Schemas["ChoiceOut"];
type Point = Schemas["ProgressOut"]["points"][number];

/** The contender that was best in held-out games; null where nothing was compared. */
export function winner(choice: Choice): string | null {
  if (choice.areas === null) return null;
  const best = Object.entries(choice.areas).sort(
    ([one, a], [other, b]) => b - a || Number(other === "shipped") - Number(one === "shipped"),
  )[0];
  return best === undefined ? null : best[0];
}

export interface Saving {
  /** Whether anything can be said of what is saved. */
  readonly known: boolean;
  readonly sentences: readonly string[];
}

/** What was saved so far, how sure that is, or why it cannot be said and what to do. */
export function saving(choice: Choice, points: readonly Point[], policy: boolean): Saving {
  const best = winner(choice);
  if (best === null) return { known: false, sentences: [nothingCompared(policy), TRAIN] };
  const games = choice.games === null ? "Held-out games" : counted(choice.games, "held-out game");
  if (best === "random") {
    const sentence = `In ${games.toLowerCase()} on this project's images nothing was ahead of random: nothing is saved.`;
    return { known: true, sentences: [sentence, "Label more images for its games, then run train-policy again."] };
  }
  const { saved } = choice;
  if (saved === null || saved.share === null || saved.cells === null) {
    const sentence = `In ${games.toLowerCase()} ${contender(best)} did not reach what random had in the end: no saving can be said.`;
    return { known: false, sentences: [sentence, "Label more images for its games, then run train-policy again."] };
  }
  const sentences = [
    `In ${games.toLowerCase()} on this project's images ${contender(best)} took ${fixed(saved.cells, 0)} regions to the mIoU of ` +
      `${percent(saved.miou / 100)} that random took ${fixed(saved.random_cells, 0)} for: ${ofShare(saved.share)}${sure(saved)}.`,
  ];
  if (choice.by !== best) {
    sentences.push(`Rounds are asked for by ${contender(choice.by)}: that says nothing of what they save.`);
    return { known: true, sentences };
  }
  const told = soFar(saved.share, saved.low, saved.high, regionsAsked(points, best));
  return { known: true, sentences: told === null ? sentences : [...sentences, told] };
}

const TRAIN =
  "Run train-policy (under Set up: Train a policy on this project), which plays held-out games on images labelled as a whole.";

function nothingCompared(policy: boolean): string {
  return policy
    ? "The newest policy was not compared with random, so nobody knows what is saved here."
    : "No policy was trained on this project yet, so nobody knows what is saved here.";
}

function ofShare(share: number): string {
  return share >= 0 ? `${percent(share, 0)} fewer` : `${percent(-share, 0)} more`;
}

function sure({ low, high }: { readonly low: number | null; readonly high: number | null }): string {
  if (low === null || high === null) return ", of which one game cannot tell how sure that is";
  return ` (${SURE}: ${percent(low, 0)} to ${percent(high, 0)})`;
}

/** Labelled regions of the rounds that a contender asked for. */
export function regionsAsked(points: readonly Point[], by: string): number {
  return points.reduce((all, point, at) => {
    const own = point.regions - (points[at - 1]?.regions ?? 0);
    return contends(point) === by ? all + own : all;
  }, 0);
}

function contends({ strategy, policy_id }: Point): string | null {
  if (strategy !== "learned") return strategy;
  return policy_id === null ? "shipped" : "own";
}

/** What the regions asked for so far have saved, if it is here as it was in the games; null before there are any. */
export function soFar(share: number, low: number | null, high: number | null, regions: number): string | null {
  if (regions === 0 || share >= 1) return null;
  const more = (of: number) => Math.round(regions / (1 - of)) - regions;
  const interval =
    low === null || high === null
      ? ""
      : ` (${SURE}: ${signed(more(low))} to ${high >= 1 ? "no bound" : signed(more(high))})`;
  const saved = more(share);
  const says = saved < 0 ? `${counted(-saved, "label")} too many` : counted(saved, "label");
  const verb = saved < 0 ? "Asked for" : "Saved";
  return `${verb} so far, if that holds here: about ${says}${interval}, with ${counted(regions, "region")} that it asked for.`;
}

function signed(value: number): string {
  return value < 0 ? `−${(-value).toLocaleString()}` : value.toLocaleString();
}
