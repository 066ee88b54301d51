/** Where classes meet. */

import { type LabelMap, type Rect, clipped } from "./label_map";

/** Whether a pixel has another class than one beside or below it, or the other way round: the line is one or two pixels wide. */
export function isOutline(map: LabelMap, col: number, row: number): boolean {
  const at = row * map.width + col;
  const id = map.ids[at];
  return (
    (col > 0 && map.ids[at - 1] !== id) ||
    (row > 0 && map.ids[at - map.width] !== id) ||
    (col < map.width - 1 && map.ids[at + 1] !== id) ||
    (row < map.height - 1 && map.ids[at + map.width] !== id)
  );
}

/** The pixels whose outlines may change where those of `rect` have changed. */
export function touched(map: LabelMap, rect: Rect): Rect {
  const wider = { left: rect.left - 1, top: rect.top - 1, right: rect.right + 1, bottom: rect.bottom + 1 };
  return clipped(wider, map.width, map.height);
}
