/** Filling: connected areas, whole classes, polygons. Each returns what may have changed. */

import { type LabelMap, type Rect, clipped, EMPTY, idAt, whole } from "./label_map";

/** Give the area around (x, y) that has one class, and hangs together over edges, another one; none from outside the map. */
export function fillArea(map: LabelMap, x: number, y: number, id: number): Rect {
  const { width, height, ids } = map;
  const start = y * width + x;
  const old = idAt(map, x, y);
  if (old === undefined || old === id) return EMPTY;
  const waiting = [start];
  ids[start] = id;
  let [left, right, top, bottom] = [x, x, y, y];
  while (waiting.length > 0) {
    const at = waiting.pop()!;
    const col = at % width;
    const row = (at - col) / width;
    left = Math.min(left, col);
    right = Math.max(right, col);
    top = Math.min(top, row);
    bottom = Math.max(bottom, row);
    if (col > 0 && ids[at - 1] === old) waiting.push(set(ids, at - 1, id));
    if (col < width - 1 && ids[at + 1] === old) waiting.push(set(ids, at + 1, id));
    if (row > 0 && ids[at - width] === old) waiting.push(set(ids, at - width, id));
    if (row < height - 1 && ids[at + width] === old) waiting.push(set(ids, at + width, id));
  }
  return { left, top, right: right + 1, bottom: bottom + 1 };
}

/** Give all pixels of one class another one. */
export function replaceClass(map: LabelMap, from: number, to: number): Rect {
  if (from === to) return EMPTY;
  let changed = false;
  for (let at = 0; at < map.ids.length; at++) {
    if (map.ids[at] !== from) continue;
    map.ids[at] = to;
    changed = true;
  }
  return changed ? whole(map) : EMPTY;
}

/** Set the pixels whose middles lie within a polygon, by the even-odd rule. */
export function fillPolygon(map: LabelMap, points: readonly { x: number; y: number }[], id: number): Rect {
  if (points.length < 3) return EMPTY;
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  const rect = clipped(
    {
      left: Math.floor(Math.min(...xs)),
      top: Math.floor(Math.min(...ys)),
      right: Math.ceil(Math.max(...xs)),
      bottom: Math.ceil(Math.max(...ys)),
    },
    map.width,
    map.height,
  );
  for (let row = rect.top; row < rect.bottom; row++) {
    const crossings = crossingsAt(points, row + 0.5);
    for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
      // The middle of pixel `col` is at col + 0.5.
      const first = Math.max(rect.left, Math.ceil(crossings[pair]! - 0.5));
      const last = Math.min(rect.right - 1, Math.ceil(crossings[pair + 1]! - 0.5) - 1);
      if (last >= first) map.ids.fill(id, row * map.width + first, row * map.width + last + 1);
    }
  }
  return rect;
}

function crossingsAt(points: readonly { x: number; y: number }[], y: number): number[] {
  const found: number[] = [];
  for (let at = 0; at < points.length; at++) {
    const from = points[at]!;
    const to = points[(at + 1) % points.length]!;
    if (from.y <= y === to.y <= y) continue;
    found.push(from.x + ((y - from.y) / (to.y - from.y)) * (to.x - from.x));
  }
  return found.sort((one, other) => one - other);
}

/** Set the pixels that are chosen (not 0). */
export function fillChosen(map: LabelMap, chosen: Uint8Array, id: number): Rect {
  let [left, top, right, bottom] = [map.width, map.height, 0, 0];
  for (let at = 0; at < chosen.length; at++) {
    if (chosen[at] === 0) continue;
    map.ids[at] = id;
    const col = at % map.width;
    const row = (at - col) / map.width;
    left = Math.min(left, col);
    right = Math.max(right, col + 1);
    top = Math.min(top, row);
    bottom = Math.max(bottom, row + 1);
  }
  return right > left ? { left, top, right, bottom } : EMPTY;
}

function set(ids: Uint8Array, at: number, id: number): number {
  ids[at] = id;
  return at;
}
