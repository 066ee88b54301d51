/** How the annotator works and sees; remembered by the browser. */

import { signal } from "@preact/signals";
import type { Brush } from "../mask/brush";
import { kept } from "../ui/storage";

export type ToolName = "brush" | "eraser" | "polygon" | "fill" | "replace" | "smart" | "hand";

export const tool = kept<ToolName>("tool", "brush");
export const brush = kept<Brush>("brush", { shape: "round", size: 12 });
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

/** A tenth larger or smaller, but a pixel at least. */
export function resize(direction: 1 | -1): void {
  const step = Math.max(1, Math.round(brush.value.size / 10));
  const size = brush.value.size + direction * step;
  brush.value = { ...brush.value, size: Math.min(LARGEST_BRUSH, Math.max(1, size)) };
}
