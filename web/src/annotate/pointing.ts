/** What pointers do on the stage: mouse, pen, fingers. */

import type { Editor } from "./editor";
import { brush, level, tool } from "./options";
import type { Stage } from "./stage";
import { moved, type Point, zoomed } from "./view";

/** A finger that comes so soon after the pen is the palm of the hand. */
const PALM_MILLISECONDS = 1000;
const WHEEL = 0.0015;

interface Acting {
  readonly id: number;
  readonly kind: "paint" | "pan";
  last: Point;
}

export class Pointing {
  private acting: Acting | null = null;
  private readonly fingers = new Map<number, Point>();
  private penSeen = Number.NEGATIVE_INFINITY;
  /** Space is held down. */
  panning = false;

  constructor(
    private readonly stage: Stage,
    private readonly ids: () => { own: number; unlabelled: number },
    private readonly signs: { work: () => void; hover: (id: number | undefined) => void },
  ) {
    const { canvas } = stage;
    canvas.addEventListener("pointerdown", this.down);
    canvas.addEventListener("pointermove", this.move);
    canvas.addEventListener("pointerup", this.up);
    canvas.addEventListener("pointercancel", this.abandon);
    canvas.addEventListener("pointerleave", this.leave);
    canvas.addEventListener("dblclick", this.doubled);
    canvas.addEventListener("wheel", this.wheel, { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  private get editor(): Editor | null {
    return this.stage.editor;
  }

  private readonly down = (event: PointerEvent): void => {
    this.signs.work();
    const at = this.placeOf(event);
    if (event.pointerType === "pen") this.penSeen = event.timeStamp;
    if (event.pointerType === "touch") {
      if (event.timeStamp - this.penSeen < PALM_MILLISECONDS) return;
      this.fingers.set(event.pointerId, at);
      if (this.fingers.size === 2) this.pinch();
      if (this.fingers.size > 1) return;
    }
    this.stage.canvas.setPointerCapture(event.pointerId);
    this.stage.canvas.focus({ preventScroll: true });
    if (event.button === 1 || this.panning || tool.value === "hand") {
      this.acting = { id: event.pointerId, kind: "pan", last: at };
      return;
    }
    if (event.button === 0 && this.editor !== null && this.acting === null) this.press(event, at);
  };

  /** Two fingers move the image; what the first one has painted was no stroke. */
  private pinch(): void {
    this.editor?.cancel();
    this.acting = null;
  }

  private press(event: PointerEvent, at: Point): void {
    const editor = this.editor!;
    const place = this.stage.inRegion(at);
    switch (tool.value) {
      case "brush":
      case "eraser":
        this.acting = { id: event.pointerId, kind: "paint", last: at };
        editor.begin();
        editor.paint(brush.value, place, place, this.painted());
        break;
      default:
        this.apply(place);
    }
  }

  /** What the tool does at a place of the region, by pointer or keyboard. */
  apply(place: Point): void {
    const editor = this.editor;
    if (editor === null) return;
    const { own } = this.ids();
    switch (tool.value) {
      case "brush":
      case "eraser":
        editor.begin();
        editor.paint(brush.value, place, place, this.painted());
        editor.end();
        break;
      case "polygon":
        this.stage.polygon = [...this.stage.polygon, place];
        this.stage.draw();
        break;
      case "fill":
        editor.fill(place, own);
        break;
      case "replace":
        editor.replace(place, own);
        break;
      case "smart":
        editor.smartFill(place, own, level.value);
        break;
      case "hand":
    }
  }

  private painted(): number {
    const { own, unlabelled } = this.ids();
    return tool.value === "eraser" ? unlabelled : own;
  }

  private readonly move = (event: PointerEvent): void => {
    const at = this.placeOf(event);
    if (event.pointerType === "pen") this.penSeen = event.timeStamp;
    if (this.fingers.has(event.pointerId) && this.fingers.size === 2) {
      this.moveFingers(event.pointerId, at);
      return;
    }
    this.stage.pointer = at;
    // The stroke's step was ended or taken back meanwhile, or another region stands here.
    if (this.acting?.kind === "paint" && !this.editor?.painting) this.acting = null;
    const { acting } = this;
    if (acting?.id === event.pointerId) {
      if (acting.kind === "pan") this.stage.view = moved(this.stage.view, at.x - acting.last.x, at.y - acting.last.y);
      else this.paintAlong(event, acting);
      acting.last = at;
      this.signs.work();
    }
    if (this.editor !== null) this.signs.hover(this.editor.idAt(this.stage.inRegion(at)));
    if (acting?.kind === "pan") this.stage.draw();
    else this.stage.drawPointer();
  };

  private paintAlong(event: PointerEvent, acting: Acting): void {
    let from = this.stage.inRegion(acting.last);
    // Between two frames a fast hand has been at several places.
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      const to = this.stage.inRegion(this.placeOf(each));
      this.editor?.paint(brush.value, from, to, this.painted());
      from = to;
    }
  }

  private moveFingers(id: number, at: Point): void {
    const other = [...this.fingers].find(([each]) => each !== id)![1];
    const before = this.fingers.get(id)!;
    const factor = distance(at, other) / Math.max(1, distance(before, other));
    const middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 };
    const turned = zoomed(this.stage.view, factor, middle);
    this.stage.view = moved(turned, (at.x - before.x) / 2, (at.y - before.y) / 2);
    this.fingers.set(id, at);
    this.stage.draw();
  }

  private readonly up = (event: PointerEvent): void => {
    this.fingers.delete(event.pointerId);
    if (this.acting?.id !== event.pointerId) return;
    if (this.acting.kind === "paint") this.editor?.end();
    this.acting = null;
    this.signs.work();
  };

  private readonly abandon = (event: PointerEvent): void => {
    this.fingers.delete(event.pointerId);
    if (this.acting?.id !== event.pointerId) return;
    this.editor?.cancel();
    this.acting = null;
  };

  private readonly leave = (): void => {
    if (this.acting !== null) return;
    this.stage.pointer = null;
    this.signs.hover(undefined);
    this.stage.draw();
  };

  private readonly doubled = (): void => {
    if (tool.value === "polygon") this.closePolygon();
  };

  /** Fill the polygon that was drawn. */
  closePolygon(): void {
    const corners = this.stage.polygon;
    this.stage.polygon = [];
    this.editor?.polygon(corners, this.ids().own);
    this.stage.draw();
  }

  private readonly wheel = (event: WheelEvent): void => {
    event.preventDefault();
    this.signs.work();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
    this.stage.view = zoomed(this.stage.view, Math.exp(-event.deltaY * lines * WHEEL), this.placeOf(event));
    this.stage.draw();
  };

  private placeOf(event: MouseEvent): Point {
    const { left, top } = this.stage.canvas.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }
}

function distance(one: Point, other: Point): number {
  return Math.hypot(one.x - other.x, one.y - other.y);
}
