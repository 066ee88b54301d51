/** A region that is worked on: its pixels, what the network says, what is painted. */

import { signal } from "@preact/signals";
import { ApiError, bytes, picture, type Schemas } from "../api/client";
import { History } from "../mask/history";
import { copyOf, type LabelMap, labelMap } from "../mask/label_map";
import { decodePng } from "../mask/png";
import type { Painted, Surroundings } from "./bench";
import { type Hints, hintsOf } from "./hints";
import { Stopwatch } from "./stopwatch";
import type { Box } from "./view";
import { drafts, type Draft, keyOf } from "./work";

export type Region = Schemas["LeasedRegion"];

const MARGIN = 64;

export class Task implements Painted {
  readonly history = new History();
  readonly leasedUntil = signal(0);
  skipped = false;
  leaseToken: string;
  /** Why the region is not ours any more. */
  readonly lost = signal<string | null>(null);
  readonly restored: boolean;
  readonly begun = Date.now();

  private constructor(
    readonly key: string,
    readonly region: Region,
    readonly map: LabelMap,
    readonly prediction: LabelMap | null,
    readonly hints: Hints | null,
    readonly stopwatch: Stopwatch,
    draft: Draft | undefined,
    /** The whole image once it is there, and the region with a margin before. */
    public surroundings: Surroundings,
  ) {
    this.restored = draft !== undefined;
    this.leaseToken = region.lease_token;
    this.leasedUntil.value = Date.parse(region.lease_expires_at);
  }

  /** Fetch all that is needed to paint. */
  static async load(region: Region, annotator: number, unlabelled: number, signal: AbortSignal): Promise<Task> {
    const key = keyOf(annotator, region.id);
    const [surroundings, prediction, hints, draft] = await Promise.all([
      surroundingsOf(region, signal),
      predicted(region, signal),
      hintsOf(region.id, signal),
      drafts.get(key).catch(() => undefined), // a browser that keeps nothing
    ]);
    const usable = draft?.width === region.width && draft.height === region.height ? draft : undefined;
    const map = usable ?? (prediction === null ? labelMap(region.width, region.height, unlabelled) : prediction);
    const stopwatch = new Stopwatch(usable?.activeSeconds, usable?.idleSeconds);
    return new Task(key, region, copyOf(map), prediction, hints, stopwatch, usable, surroundings);
  }

  /** A region that its annotator has labelled or skipped before this visit, with their label to start from. */
  static async again(region: Region, annotator: number, unlabelled: number, signal: AbortSignal): Promise<Task> {
    const task = await Task.load(region, annotator, unlabelled, signal);
    try {
      if (!task.restored) task.map.ids.set((await decodePng(await bytes(`/regions/${region.id}/label`, signal))).ids);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error; // it was skipped
    }
    return task;
  }

  /** The region was given anew, by another lease. */
  holdBy(region: Region): void {
    this.leaseToken = region.lease_token;
    this.leasedUntil.value = Date.parse(region.lease_expires_at);
    this.lost.value = null;
  }

  /** Exchange the margin for the whole image, to zoom out to. */
  async widen(signal: AbortSignal): Promise<void> {
    this.surroundings = await wholeImageOf(this.region, signal);
  }

  async save(): Promise<void> {
    await drafts.put(this.draft());
  }

  draft(): Draft {
    return draftOf(this.key, this.region.id, this.map, this.stopwatch);
  }

  /** The region's pixels, for tools that look at the image: red, green, blue, alpha. */
  pixels(): Uint8ClampedArray {
    return pixelsOf(this.region, this.surroundings);
  }
}

/** What is painted of a region by now. */
export function draftOf(key: string, regionId: number, map: LabelMap, stopwatch: Stopwatch): Draft {
  return {
    key,
    regionId,
    width: map.width,
    height: map.height,
    ids: map.ids.slice(),
    activeSeconds: stopwatch.activeSeconds,
    idleSeconds: stopwatch.idleSeconds,
    savedAt: Date.now(),
  };
}

/** A region's pixels, cut out of what is around it. */
export function pixelsOf(region: Box, surroundings: Surroundings): Uint8ClampedArray {
  const canvas = new OffscreenCanvas(region.width, region.height);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(surroundings.picture, surroundings.x - region.x, surroundings.y - region.y);
  return context.getImageData(0, 0, region.width, region.height).data;
}

/** A region with a margin. */
export async function surroundingsOf(
  region: Box & { readonly id: number },
  signal: AbortSignal,
): Promise<Surroundings> {
  const near = await picture(`/regions/${region.id}/context?margin=${MARGIN}`, signal);
  return { picture: near, x: Math.max(0, region.x - MARGIN), y: Math.max(0, region.y - MARGIN) };
}

/** The whole image that a region is of, as it is seen and learned from: the file may be of more bits, or see-through. */
export async function wholeImageOf(region: { readonly image_id: number }, signal: AbortSignal): Promise<Surroundings> {
  return { picture: await picture(`/images/${region.image_id}/seen`, signal), x: 0, y: 0 };
}

/** What the network says of a region, if anything. */
export async function predicted(region: Pick<Region, "prediction_url">, signal: AbortSignal): Promise<LabelMap | null> {
  if (region.prediction_url === null) return null;
  try {
    return await decodePng(await bytes(region.prediction_url, signal));
  } catch (error) {
    // It may have gone meanwhile; a region can be painted without.
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}
