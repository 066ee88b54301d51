/** Brushes: which pixels a stroke covers, and setting them. */

import { type LabelMap, type Rect, clipped, EMPTY, union } from "./label_map";

export type Shape = "round" | "square";

export interface Brush {
  readonly shape: Shape;
  /** Pixels across. */
  readonly size: number;
}

/** Set the pixels under a brush whose middle is at (x, y), in pixels and parts of them. Returns what may have changed. */
export function stamp(map: LabelMap, brush: Brush, x: number, y: number, id: number): Rect {
  const half = brush.size / 2;
  const rect = clipped(
    {
      left: Math.floor(x - half),
      top: Math.floor(y - half),
      right: Math.ceil(x + half) + 1,
      bottom: Math.ceil(y + half) + 1,
    },
    map.width,
    map.height,
  );
  const own = pixelUnder(x, y);
  for (let row = rect.top; row < rect.bottom; row++) {
    for (let col = rect.left; col < rect.right; col++) {
      if (covers(brush, col + 0.5 - x, row + 0.5 - y) || (col === own.x && row === own.y)) {
        map.ids[row * map.width + col] = id;
      }
    }
  }
  return rect;
}

/** Whether a brush covers the point so far from its middle. */
export function covers(brush: Brush, dx: number, dy: number): boolean {
  const half = brush.size / 2;
  return brush.shape === "square" ? Math.abs(dx) <= half && Math.abs(dy) <= half : dx * dx + dy * dy <= half * half;
}

/** Draw a brush along a line, without gaps. Returns what may have changed. */
export function stroke(
  map: LabelMap,
  brush: Brush,
  from: { x: number; y: number },
  to: { x: number; y: number },
  id: number,
): Rect {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  const step = Math.max(0.5, brush.size / 6);
  const steps = Math.max(1, Math.ceil(length / step));
  let changed = EMPTY;
  for (let at = 0; at <= steps; at++) {
    const part = at / steps;
    const x = from.x + (to.x - from.x) * part;
    const y = from.y + (to.y - from.y) * part;
    changed = union(changed, stamp(map, brush, x, y, id));
  }
  return changed;
}

function pixelUnder(x: number, y: number): { x: number; y: number } {
  return { x: Math.floor(x), y: Math.floor(y) };
}
