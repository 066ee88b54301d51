/** Undo and redo: of each step what the pixels of its rectangle were before, and after. */

import { type LabelMap, type Rect, EMPTY, isEmpty } from "./label_map";

interface Step {
  readonly rect: Rect;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

export const MOST_STEPS = 500;
const MOST_BYTES = 256 << 20;
const FEWEST_STEPS = 100;

export class History {
  private done: Step[] = [];
  private undone: Step[] = [];

  get canUndo(): boolean {
    return this.done.length > 0;
  }

  get canRedo(): boolean {
    return this.undone.length > 0;
  }

  /** Remember one step: `before` is the whole map as it was, `map` as it is. A step that changed nothing is none. */
  record(before: LabelMap, map: LabelMap, rect: Rect): boolean {
    if (isEmpty(rect)) return false;
    const step = { rect, before: pixels(before, rect), after: pixels(map, rect) };
    if (step.before.every((id, at) => id === step.after[at])) return false;
    this.done.push(step);
    this.undone = [];
    while (this.done.length > MOST_STEPS || (this.bytes() > MOST_BYTES && this.done.length > FEWEST_STEPS)) {
      this.done.shift();
    }
    return true;
  }

  /** Take the last step back. Returns what changed. */
  undo(map: LabelMap): Rect {
    const step = this.done.pop();
    if (step === undefined) return EMPTY;
    this.undone.push(step);
    put(map, step.rect, step.before);
    return step.rect;
  }

  /** Do again what was taken back. Returns what changed. */
  redo(map: LabelMap): Rect {
    const step = this.undone.pop();
    if (step === undefined) return EMPTY;
    this.done.push(step);
    put(map, step.rect, step.after);
    return step.rect;
  }

  private bytes(): number {
    return this.done.reduce((sum, step) => sum + 2 * step.before.length, 0);
  }
}

function pixels(map: LabelMap, rect: Rect): Uint8Array {
  const width = rect.right - rect.left;
  const found = new Uint8Array(width * (rect.bottom - rect.top));
  for (let row = rect.top; row < rect.bottom; row++) {
    const from = row * map.width + rect.left;
    found.set(map.ids.subarray(from, from + width), (row - rect.top) * width);
  }
  return found;
}

function put(map: LabelMap, rect: Rect, ids: Uint8Array): void {
  const width = rect.right - rect.left;
  for (let row = rect.top; row < rect.bottom; row++) {
    map.ids.set(ids.subarray((row - rect.top) * width, (row - rect.top + 1) * width), row * map.width + rect.left);
  }
}
