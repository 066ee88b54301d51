/** How the annotator works and sees; remembered by the browser. */

import { computed, signal } from "@preact/signals";
import type { Brush, Shape } from "../mask/brush";
import { kept } from "../ui/storage";

export type ToolName = "brush" | "eraser" | "polygon" | "fill" | "replace" | "smart" | "hand";

export const tool = kept<ToolName>("tool", "brush");
/** The brush that the person has set; without a size it has one that suits the region. */
const own = kept<OwnBrush>("brush", { shape: "round", size: null });
if (isFormerDefault(own.value)) own.value = { ...own.value, size: null };
/** The shorter side of the region that is painted, in pixels. */
export const shorterSide = signal(72);
export const brush = computed<Brush>(() => ({
  shape: own.value.shape,
  size: own.value.size ?? suitedSize(shorterSide.value),
}));
export const opacity = kept("opacity", 0.55);
export const contours = kept("contours", false);
export const patterns = kept("patterns", false);
export const contrast = kept("contrast", 1);
export const gamma = kept("gamma", 1);
export const level = kept("level", 18);
/** Smart fill looks at what an encoder sees, too, where there is one. */
export const byContent = kept("by-content", true);
/** Pixels that the network is unsure of stand out. */
export const unsure = kept("unsure", false);
export const hidden = signal(false);
export const blinking = signal(false);
/** The class that is painted; by its place among the classes. */
export const place = signal(0);

export const LARGEST_BRUSH = 400;

interface OwnBrush {
  readonly shape: Shape;
  readonly size: number | null;
  /** Whether the size was set; earlier versions kept one that nobody had set, and did not say so. */
  readonly set?: boolean;
}

function isFormerDefault({ size, set }: OwnBrush): boolean {
  return size === 12 && set !== true;
}

/** A sixth of the region's shorter side, from 3 to 12 pixels. */
function suitedSize(side: number): number {
  return Math.min(12, Math.max(3, Math.round(side / 6)));
}

/** Set the brush's size in pixels, which is remembered. */
export function setSize(size: number): void {
  own.value = { ...own.value, size: Math.min(LARGEST_BRUSH, Math.max(1, size)), set: true };
}

/** Round, if it is square, and square, if it is round. */
export function turnShape(): void {
  own.value = { ...own.value, shape: own.value.shape === "round" ? "square" : "round" };
}

/** A tenth larger or smaller, but a pixel at least. */
export function resize(direction: 1 | -1): void {
  const step = Math.max(1, Math.round(brush.value.size / 10));
  setSize(brush.value.size + direction * step);
}
