/** All that the page does by keyboard. */

import type { Bench } from "./bench";
import { actionOf, type Action, classOf } from "./keys";
import { blinking, brush, contours, hidden, level, place, resize, tool, type ToolName, unsure } from "./options";
import { type Point, toScreen, zoomed } from "./view";
import { labelMap } from "../mask/label_map";

const LEVEL_STEP = 3;
const ZOOM_STEP = 1.3;
const ARROWS: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

export class Keyboard {
  constructor(
    private readonly studio: Bench,
    private readonly open: (dialog: "help" | "skip") => void,
    private readonly covered: () => boolean,
    /** What some keys do instead. */
    private readonly own: Partial<Record<Action, () => unknown>> = {},
  ) {
    addEventListener("keydown", this.down);
    addEventListener("keyup", this.up);
  }

  close(): void {
    removeEventListener("keydown", this.down);
    removeEventListener("keyup", this.up);
  }

  private readonly down = (event: KeyboardEvent): void => {
    if (this.covered() || isTyping(event.target)) return;
    this.studio.desk?.sign();
    // Held down on a button, Enter would press it again and again.
    if (this.handled(event) || (event.repeat && event.key === "Enter")) event.preventDefault();
  };

  private readonly up = (event: KeyboardEvent): void => {
    if (event.key === " " && this.studio.pointing !== null) this.studio.pointing.panning = false;
    if (actionOf(event) === "hide") hidden.value = false;
  };

  private handled(event: KeyboardEvent): boolean {
    const onStage = document.activeElement === this.studio.stage?.canvas || document.activeElement === document.body;
    if (event.key === " " && onStage && this.studio.pointing !== null) {
      this.studio.pointing.panning = true;
      return true;
    }
    if (onStage && this.onStage(event)) return true;
    const chosen = classOf(event);
    if (chosen !== undefined) {
      if (chosen < this.studio.project.classes.length) place.value = chosen;
      return true;
    }
    const action = actionOf(event);
    if (action === undefined || (action === "other" && !(onStage && this.hasOther()))) return false;
    // A key that is held down is one wish: regions that nobody has looked at would go out.
    if (!event.repeat || REPEATED.has(action)) this.act(action);
    return true;
  }

  /** Arrow keys move the cursor, by ten pixels with shift; Enter is a click. */
  private onStage(event: KeyboardEvent): boolean {
    const { stage, pointing, editor } = this.studio;
    if (stage === null || pointing === null || editor === null) return false;
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      if (event.repeat) return true;
      if (tool.value === "polygon" && event.shiftKey) pointing.closePolygon();
      else if (tool.value === "polygon" && stage.polygon.length > 2 && !this.cursorMoved()) pointing.closePolygon();
      else pointing.apply(this.cursor());
      this.lastApplied = this.cursor();
      return true;
    }
    if (event.key === "Escape") {
      stage.polygon = [];
      editor.cancel();
      stage.draw();
      return true;
    }
    const arrow = ARROWS[event.key];
    if (arrow === undefined) return false;
    const step = event.shiftKey ? 10 : 1;
    const from = this.cursor();
    const to = { x: from.x + step * arrow[0], y: from.y + step * arrow[1] };
    // With the alt key down the brush paints on its way.
    if (event.altKey && (tool.value === "brush" || tool.value === "eraser")) {
      editor.begin();
      editor.paint(
        brush.value,
        from,
        to,
        tool.value === "eraser" ? this.studio.project.ignore_id : this.studio.ownClass,
      );
      editor.end();
    }
    stage.pointer = stage.onScreen(to);
    stage.draw();
    return true;
  }

  private lastApplied: Point = { x: Number.NaN, y: Number.NaN };

  private cursorMoved(): boolean {
    const now = this.cursor();
    return Math.hypot(now.x - this.lastApplied.x, now.y - this.lastApplied.y) > 0.5;
  }

  /** Where the cursor is in the region: in the middle of a pixel; of the region where it was nowhere. */
  private cursor(): Point {
    const stage = this.studio.stage!;
    const { width, height } = stage.editor!.map;
    if (stage.pointer === null) return { x: Math.floor(width / 2) + 0.5, y: Math.floor(height / 2) + 0.5 };
    const { x, y } = stage.inRegion(stage.pointer);
    return { x: Math.floor(x) + 0.5, y: Math.floor(y) + 0.5 };
  }

  private hasOther(): boolean {
    return this.studio.stage!.others.length > 0;
  }

  private act(action: Action): void {
    const { desk, stage, editor, project } = this.studio;
    const classes = project.classes.length;
    const doing: Record<Action, () => unknown> = {
      ...(Object.fromEntries(TOOLS.map((name) => [name, () => (tool.value = name)])) as Record<
        ToolName,
        () => unknown
      >),
      smaller: () => resize(-1),
      larger: () => resize(1),
      less: () => this.relevel(-LEVEL_STEP),
      more: () => this.relevel(LEVEL_STEP),
      previousClass: () => (place.value = (place.value + classes - 1) % classes),
      nextClass: () => (place.value = (place.value + 1) % classes),
      pickClass: () => editor !== null && this.studio.pick(editor.idAt(this.cursor())),
      rest: () => editor?.fillRest(this.studio.ownClass),
      predict: () => this.startAgain(),
      clear: () => editor?.exchange(labelMap(editor.map.width, editor.map.height, project.ignore_id)),
      undo: () => editor?.undo(),
      redo: () => editor?.redo(),
      hide: () => (hidden.value = true),
      contours: () => (contours.value = !contours.value),
      blink: () => (blinking.value = !blinking.value),
      unsure: () => (unsure.value = !unsure.value),
      fit: () => stage?.fit(),
      zoomIn: () => this.zoom(ZOOM_STEP),
      zoomOut: () => this.zoom(1 / ZOOM_STEP),
      submit: () => void desk?.submit(),
      skip: () => desk !== null && desk.current.value !== null && this.open("skip"),
      back: () => void this.goBack(),
      other: () => this.turnToOther(),
      help: () => this.open("help"),
      ...this.own,
    };
    doing[action]();
    stage?.draw();
  }

  private async goBack(): Promise<void> {
    const { desk } = this.studio;
    if (desk === null) return;
    const [last, earlier] = [desk.done.value[0], desk.earlier.value[0]];
    if (last !== undefined) await desk.goBack(last);
    else if (earlier !== undefined) await desk.goBackTo(earlier);
  }

  private relevel(by: number): void {
    level.value = Math.min(255, Math.max(0, level.value + by));
    this.studio.editor?.relevel(level.value);
  }

  private startAgain(): void {
    const { editor } = this.studio;
    const prediction = editor?.task.prediction;
    if (editor !== null && prediction) editor.exchange(prediction);
  }

  private turnToOther(): void {
    const { desk, stage } = this.studio;
    const id = stage!.others[0]!.id;
    const task = desk?.ready.value.find((each) => each.region.id === id);
    if (task !== undefined) desk?.turnTo(task);
  }

  private zoom(factor: number): void {
    const { stage } = this.studio;
    if (stage === null) return;
    const at = stage.editor === null ? stage.middle : toScreen(stage.view, middleOf(stage.editor.task.region));
    stage.view = zoomed(stage.view, factor, stage.pointer ?? at);
  }
}

/** What goes on while its key is held down. */
const REPEATED: ReadonlySet<Action> = new Set<Action>([
  "smaller",
  "larger",
  "less",
  "more",
  "previousClass",
  "nextClass",
  "undo",
  "redo",
  "zoomIn",
  "zoomOut",
]);

const TOOLS: readonly ToolName[] = ["brush", "eraser", "polygon", "fill", "replace", "smart", "hand"];

function middleOf(box: { x: number; y: number; width: number; height: number }): Point {
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input, textarea, select, dialog") !== null;
}
