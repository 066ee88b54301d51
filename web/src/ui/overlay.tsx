/** A label map over the region's pixels, or where it differs from others. */

import { useEffect, useMemo, useRef } from "preact/hooks";
import { differing } from "../mask/differences";
import type { LabelMap } from "../mask/label_map";
import { Fetching } from "./fetching";
import "./overlay.css";
import { imageAt, mapAt, type MapAt } from "./pixels";

interface OverlayProps {
  /** What is shown, for those who do not see it. */
  readonly title: string;
  readonly crop: string;
  readonly width: number;
  readonly height: number;
  /** None: the pixels alone. */
  readonly mask: MapAt | null;
  /** Where the label map differs from one of these it is shown, and the rest fades; none: it is shown as it is. */
  readonly against?: readonly MapAt[] | undefined;
  readonly colours: ReadonlyMap<number, readonly number[]>;
  readonly opacity: number;
  /** It is on the screen. */
  readonly drawn?: () => void;
  /** Hears what fetches it again while it could not be fetched, null otherwise, and shows that; none: it is shown here. */
  readonly failing?: (again: (() => void) | null) => void;
}

const UNLABELLED = [255, 0, 255];
const FADED = 0.55;
const STRONG = 0.85;

export function Overlay({ title, crop, width, height, mask, against, colours, opacity, drawn, failing }: OverlayProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const shown = JSON.stringify([crop, mask, against]);
  const palette = JSON.stringify([...colours]);
  const fetching = useMemo(() => new Fetching(() => pixelsOf(crop, mask, against)), [shown]);
  useEffect(() => {
    void fetching.again();
    return () => fetching.close();
  }, [fetching]);
  const found = fetching.found.value;
  const failed = fetching.failed.value;
  useEffect(() => {
    if (found !== null) {
      draw(canvas.current!, ...found, colours, opacity);
      drawn?.();
    } else if (failed) canvas.current!.width = width; // nothing of what was there before
  }, [found, failed, palette, opacity]);
  useEffect(() => {
    failing?.(failed ? fetching.again : null);
    return () => failing?.(null);
  }, [failed, fetching]);
  return (
    <>
      <canvas
        ref={canvas}
        class="overlay"
        role="img"
        aria-label={title}
        width={width}
        height={height}
        style={{ aspectRatio: `${width} / ${height}` }}
      />
      {failed && failing === undefined && <Unfetched again={fetching.again} />}
    </>
  );
}

interface UnfetchedProps {
  readonly again: () => unknown;
  readonly style?: { readonly aspectRatio: string };
}

/** Stands over the picture; never in a link, which can hold no button. */
export function Unfetched({ again, style }: UnfetchedProps) {
  return (
    <span class="unfetched" style={style}>
      Could not be fetched.
      <button type="button" onClick={() => void again()}>
        Try again
      </button>
    </span>
  );
}

type Pixels = [ImageBitmap, LabelMap | null, readonly LabelMap[] | undefined];

async function pixelsOf(crop: string, mask: MapAt | null, against: readonly MapAt[] | undefined): Promise<Pixels> {
  return Promise.all([
    imageAt(crop),
    mask === null ? null : mapAt(mask),
    against === undefined ? undefined : Promise.all(against.map(mapAt)),
  ]);
}

function draw(
  canvas: HTMLCanvasElement,
  pixels: ImageBitmap,
  map: LabelMap | null,
  others: readonly LabelMap[] | undefined,
  colours: ReadonlyMap<number, readonly number[]>,
  opacity: number,
): void {
  canvas.width = pixels.width;
  canvas.height = pixels.height;
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(pixels, 0, 0);
  if (map === null) return;
  const image = context.getImageData(0, 0, map.width, map.height);
  const { data } = image;
  const different = others === undefined ? null : differing(map, others);
  for (let at = 0; at < map.ids.length; at++) {
    if (different?.[at] === 0) {
      fade(data, 4 * at);
      continue;
    }
    const colour = colours.get(map.ids[at]!) ?? (different === null ? undefined : UNLABELLED);
    if (colour !== undefined) blend(data, 4 * at, colour, different === null ? opacity : STRONG);
  }
  context.putImageData(image, 0, 0);
}

function blend(data: Uint8ClampedArray, at: number, colour: readonly number[], opacity: number): void {
  for (let channel = 0; channel < 3; channel++) {
    const under = data[at + channel]!;
    data[at + channel] = under + opacity * (colour[channel]! - under);
  }
}

/** Grey and dark, so that what differs stands out. */
function fade(data: Uint8ClampedArray, at: number): void {
  const grey = FADED * (0.3 * data[at]! + 0.59 * data[at + 1]! + 0.11 * data[at + 2]!);
  data.fill(grey, at, at + 3);
}
