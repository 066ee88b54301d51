/** A region whose label a reviewer corrects: what is painted, and its draft. */

import { draftOf, pixelsOf, predicted, surroundingsOf, wholeImageOf } from "../annotate/task";
import type { Painted, Surroundings } from "../annotate/bench";
import { type Hints, hintsOf } from "../annotate/hints";
import { base64 } from "../annotate/outbox";
import { Stopwatch } from "../annotate/stopwatch";
import { database, type Draft } from "../annotate/work";
import { ask, bytes, type Schemas } from "../api/client";
import { History } from "../mask/history";
import { copyOf, type LabelMap, same } from "../mask/label_map";
import { decodePng, encodePng } from "../mask/png";
import { Table } from "../ui/storage";

export type Region = Schemas["RegionDetail"];
export type Version = Schemas["VersionOut"];

/** A correction that was not sent. */
export interface CorrectionDraft extends Draft {
  readonly version: number;
}

// Beside the drafts of labels, under keys of their own.
const drafts = new Table<CorrectionDraft>("drafts", database);

export class Correction implements Painted {
  readonly history = new History();
  readonly stopwatch = new Stopwatch();
  private sent = false;
  private constructor(
    readonly region: Region,
    readonly versions: readonly Version[],
    /** The version that is painted over. */
    public base: Version,
    readonly map: LabelMap,
    readonly prediction: LabelMap | null,
    readonly hints: Hints | null,
    public surroundings: Surroundings,
    private readonly key: string,
    /** What was painted before and not sent; null: nothing, or just what the label is. */
    readonly left: CorrectionDraft | null,
  ) {}

  /** Fetch all that is needed to paint over a version. */
  static async load(
    region: Region,
    versions: readonly Version[],
    base: Version,
    reviewer: number,
    signal: AbortSignal,
  ): Promise<Correction> {
    const key = `correction/${reviewer}/${region.id}`;
    const [surroundings, prediction, hints, map, draft] = await Promise.all([
      surroundingsOf(region, signal),
      predicted(region, signal),
      hintsOf(region.id, signal),
      mapOf(base, signal),
      drafts.get(key),
    ]);
    const usable = draft?.width === region.width && draft.height === region.height && !same(draft, map);
    const left = usable ? draft : null;
    return new Correction(region, versions, base, copyOf(map), prediction, hints, surroundings, key, left);
  }

  /** Exchange the margin for the whole image, to zoom out to. */
  async widen(signal: AbortSignal): Promise<void> {
    this.surroundings = await wholeImageOf(this.region, signal);
  }

  pixels(): Uint8ClampedArray {
    return pixelsOf(this.region, this.surroundings);
  }

  async save(): Promise<void> {
    if (this.sent) return;
    const { key, region, map, base, stopwatch } = this;
    await drafts.put({ ...draftOf(key, region.id, map, stopwatch), version: base.version });
  }

  /** The draft is not wanted any more. */
  async drop(): Promise<void> {
    await drafts.remove(this.key);
  }

  /** Send the label map: it counts from then on. */
  async send(reason: string): Promise<void> {
    this.stopwatch.pause();
    const body = {
      decision: "corrected",
      ...(this.corrected === null ? {} : { label_id: this.corrected }),
      mask_png: base64(await encodePng(this.map)),
      seconds: Math.round(10 * this.stopwatch.activeSeconds) / 10,
      idle_seconds: Math.round(10 * this.stopwatch.idleSeconds) / 10,
      ...(reason === "" ? {} : { reason }),
    };
    await ask("POST", `/regions/${this.region.id}/reviews`, { body });
    this.sent = true;
    await this.drop();
  }

  /**
   * The label that the review is about: the one that counts, or, where several wait for a decision, the one painted over, if
   * its annotator has not drawn another. None where all were rejected.
   */
  private get corrected(): number | null {
    const { region, versions, base } = this;
    if (region.state !== "review") return versions.at(-1)!.id;
    if (region.answers === 0) return null;
    const drawn = versions.filter((each) => each.kind === "annotated" || each.kind === "imported");
    const newest = new Map(drawn.map((each) => [each.annotator_id, each]));
    return newest.get(base.annotator_id)?.id ?? drawn.at(-1)?.id ?? null;
  }
}

/** The label map of a version. */
export async function mapOf(version: Version, signal?: AbortSignal): Promise<LabelMap> {
  return decodePng(await bytes(version.mask_url, signal));
}
