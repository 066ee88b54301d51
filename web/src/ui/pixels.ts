/** Pixels of regions that pages show: fetched once, and the last ones kept. */

import { bytes, picture } from "../api/client";
import type { LabelMap } from "../mask/label_map";
import { decodePng } from "../mask/png";

const MOST_PIXELS = 24_000_000;

interface Kept {
  readonly pixels: Promise<ImageBitmap | LabelMap>;
  size: number;
}

/** A label map by its path; what it is of tells versions at one path apart. */
export interface MapAt {
  readonly path: string;
  readonly of: number | null;
}

const kept = new Map<string, Kept>();

/** An image of the service. */
export function imageAt(path: string): Promise<ImageBitmap> {
  return remembered(path, () => picture(path)) as Promise<ImageBitmap>;
}

/** A label map of the service. */
export function mapAt({ path, of }: MapAt): Promise<LabelMap> {
  return remembered(`${path} ${of}`, async () => decodePng(await bytes(path))) as Promise<LabelMap>;
}

function remembered(key: string, fetched: () => Promise<ImageBitmap | LabelMap>): Promise<ImageBitmap | LabelMap> {
  const found = kept.get(key) ?? { pixels: fetched(), size: 0 };
  kept.delete(key); // the last one that was asked for stands at the end
  kept.set(key, found);
  found.pixels.then(
    (pixels) => {
      found.size = pixels.width * pixels.height;
      forget();
    },
    () => kept.delete(key),
  );
  return found.pixels;
}

function forget(): void {
  let size = [...kept.values()].reduce((sum, each) => sum + each.size, 0);
  for (const [key, each] of kept) {
    if (size <= MOST_PIXELS) return;
    kept.delete(key);
    size -= each.size;
  }
}
