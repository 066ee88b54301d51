/** Edits of one region's label map: each is one step that can be undone, kept in the browser, and drawn. */

import { signal } from "@preact/signals";
import { type Brush, stroke } from "../mask/brush";
import { fillArea, fillChosen, fillPolygon, replaceClass } from "../mask/fill";
import { copyOf, counts, EMPTY, idAt, type LabelMap, type Rect, union, whole } from "../mask/label_map";
import { unlikeness } from "../mask/features";
import { cut, levels } from "../mask/smart_fill";
import type { Painted } from "./bench";
import { Layer, type Look } from "./layer";
import { byContent } from "./options";
import type { Point } from "./view";

/** Smart fill looks no further than this from where it was clicked: what belongs together is seldom larger. */
const REACH = 320;
const SAVE_AFTER = 150;

interface Flooded {
  readonly level: Uint8Array;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly id: number;
}

/** A smart fill that was done: whether it changed anything, and so is the last step. */
type Done = Flooded & { readonly recorded: boolean };

export class Editor {
  readonly layer: Layer;
  /** Counts up with every change. */
  readonly changes = signal(0);
  private before: LabelMap | null = null;
  private changed: Rect = EMPTY;
  private flooded: Done | null = null;
  private saving: number | undefined;

  constructor(
    readonly task: Painted,
    look: Look,
    private readonly unlabelled: number,
    private readonly redraw: (changed?: Rect) => void,
  ) {
    this.layer = new Layer(task.map, look);
  }

  get drawsContours(): boolean {
    return this.layer.drawsContours;
  }

  get map(): LabelMap {
    return this.task.map;
  }

  get painting(): boolean {
    return this.before !== null;
  }

  /** What is being painted ends as a step; whoever closes has it kept. */
  close(): void {
    this.end();
    clearTimeout(this.saving);
  }

  /** A step begins; one that has not ended ends before. */
  begin(): void {
    this.end();
    this.before = copyOf(this.map);
    this.changed = EMPTY;
    this.flooded = null;
  }

  paint(brush: Brush, from: Point, to: Point, id: number): void {
    this.show(stroke(this.map, brush, from, to, id));
  }

  /** One step ends. Returns whether it changed anything. */
  end(): boolean {
    if (this.before === null) return false;
    const recorded = this.task.history.record(this.before, this.map, this.changed);
    this.before = null;
    if (recorded) this.note();
    return recorded;
  }

  /** What was painted since `begin` never was. */
  cancel(): void {
    if (this.before === null) return;
    this.map.ids.set(this.before.ids);
    this.before = null;
    this.show(this.changed);
  }

  polygon(points: readonly Point[], id: number): void {
    this.step(() => fillPolygon(this.map, points, id));
  }

  fill(at: Point, id: number): void {
    this.step(() => fillArea(this.map, Math.floor(at.x), Math.floor(at.y), id));
  }

  replace(at: Point, id: number): void {
    const from = this.idAt(at);
    if (from !== undefined) this.step(() => replaceClass(this.map, from, id));
  }

  /** All that has no class yet gets this one. */
  fillRest(id: number): void {
    this.step(() => replaceClass(this.map, this.unlabelled, id));
  }

  /** Exchange the whole map, such as for the prediction. */
  exchange(other: LabelMap): void {
    this.step(() => {
      this.map.ids.set(other.ids);
      return whole(this.map);
    });
  }

  /** Give what belongs together with the pixel there a class; the level may be changed afterwards. */
  smartFill(at: Point, id: number, level: number): void {
    const { width, height } = this.map;
    const [x, y] = [Math.floor(at.x), Math.floor(at.y)];
    if (idAt(this.map, x, y) === undefined) return;
    const left = Math.max(0, x - REACH);
    const top = Math.max(0, y - REACH);
    const part = { left, top, width: Math.min(width, x + REACH) - left, height: Math.min(height, y + REACH) - top };
    const pixels = cropped(this.task.pixels(), width, part);
    this.flooded = null;
    const features = byContent.value ? this.task.hints?.features : null;
    const unlike = features ? unlikeness(features, part, x, y) : null;
    const reached = levels(pixels, part.width, part.height, x - left, y - top, unlike);
    this.applyFlood({ ...part, level: reached, id }, level);
  }

  get canRelevel(): boolean {
    return this.flooded !== null;
  }

  /** The last smart fill again, as far as another level reaches. */
  relevel(level: number): void {
    if (this.flooded === null) return;
    const flooded = this.flooded;
    if (flooded.recorded) this.undo();
    this.applyFlood(flooded, level);
  }

  undo(): void {
    this.flooded = null;
    this.show(this.task.history.undo(this.map));
    this.note();
  }

  redo(): void {
    this.flooded = null;
    this.show(this.task.history.redo(this.map));
    this.note();
  }

  idAt(at: Point): number | undefined {
    return idAt(this.map, Math.floor(at.x), Math.floor(at.y));
  }

  get unlabelledPixels(): number {
    return counts(this.map)[this.unlabelled]!;
  }

  restyle(look: Look): void {
    this.layer.restyle(look);
    this.redraw();
  }

  private applyFlood(flooded: Flooded, level: number): void {
    const chosen = new Uint8Array(this.map.ids.length);
    const near = cut(flooded.level, level);
    for (let row = 0; row < flooded.height; row++) {
      const own = near.subarray(row * flooded.width, (row + 1) * flooded.width);
      chosen.set(own, (flooded.top + row) * this.map.width + flooded.left);
    }
    const recorded = this.step(() => fillChosen(this.map, chosen, flooded.id));
    this.flooded = { ...flooded, recorded };
  }

  private step(edit: () => Rect): boolean {
    this.begin();
    this.show(edit());
    return this.end();
  }

  private show(rect: Rect): void {
    this.changed = union(this.changed, rect);
    this.layer.update(rect);
    this.redraw(rect);
  }

  private note(): void {
    this.changes.value += 1;
    clearTimeout(this.saving);
    // Strokes that follow at once are kept together; who closes the page has the last one kept by the desk.
    this.saving = window.setTimeout(() => void this.task.save(), SAVE_AFTER);
  }
}

function cropped(
  rgba: Uint8ClampedArray,
  width: number,
  part: { left: number; top: number; width: number; height: number },
): Uint8ClampedArray {
  const found = new Uint8ClampedArray(4 * part.width * part.height);
  for (let row = 0; row < part.height; row++) {
    const from = 4 * ((part.top + row) * width + part.left);
    found.set(rgba.subarray(from, from + 4 * part.width), 4 * row * part.width);
  }
  return found;
}
