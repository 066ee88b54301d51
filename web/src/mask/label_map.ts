/** A label map: one class id for each pixel, row by row. All operations on it are pure arithmetic; nothing here draws. */

export interface LabelMap {
  readonly width: number;
  readonly height: number;
  readonly ids: Uint8Array;
}

/** Pixels from `left`, `top` up to, but without, `right`, `bottom`. */
export interface Rect {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export const EMPTY: Rect = { left: 0, top: 0, right: 0, bottom: 0 };

export function labelMap(width: number, height: number, id: number): LabelMap {
  return { width, height, ids: new Uint8Array(width * height).fill(id) };
}

export function copyOf(map: LabelMap): LabelMap {
  return { ...map, ids: map.ids.slice() };
}

export function whole(map: LabelMap): Rect {
  return { left: 0, top: 0, right: map.width, bottom: map.height };
}

export function isEmpty(rect: Rect): boolean {
  return rect.right <= rect.left || rect.bottom <= rect.top;
}

export function union(one: Rect, other: Rect): Rect {
  if (isEmpty(one)) return other;
  if (isEmpty(other)) return one;
  return {
    left: Math.min(one.left, other.left),
    top: Math.min(one.top, other.top),
    right: Math.max(one.right, other.right),
    bottom: Math.max(one.bottom, other.bottom),
  };
}

export function clipped(rect: Rect, width: number, height: number): Rect {
  const inside = {
    left: Math.max(0, rect.left),
    top: Math.max(0, rect.top),
    right: Math.min(width, rect.right),
    bottom: Math.min(height, rect.bottom),
  };
  return isEmpty(inside) ? EMPTY : inside;
}

/** The pixel's class id; undefined outside. */
export function idAt(map: LabelMap, x: number, y: number): number | undefined {
  if (x < 0 || y < 0 || x >= map.width || y >= map.height) return undefined;
  return map.ids[y * map.width + x];
}

/** How many pixels have each class id. */
export function counts(map: LabelMap): Uint32Array {
  const found = new Uint32Array(256);
  for (const id of map.ids) found[id]! += 1;
  return found;
}

export function same(one: LabelMap, other: LabelMap): boolean {
  if (one.width !== other.width || one.height !== other.height) return false;
  return one.ids.every((id, at) => id === other.ids[at]);
}
