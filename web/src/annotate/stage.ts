/** The canvas: the image, the label map over it, the region's outline, and what the tool shows. */

import type { Rect } from "../mask/label_map";
import { Backdrop } from "./backdrop";
import type { Editor } from "./editor";
import { brush, hidden, opacity, shorterSide, tool, unsure } from "./options";
import type { Region } from "./task";
import { type Box, fitted, type Point, toImage, toScreen, type View } from "./view";

const GROUND = "#15181c";
const NONE: Box = { x: 0, y: 0, width: 0, height: 0 };
/** Of a brush's ring and its number, beyond the ring. */
const ROOM_OF_NUMBER = 64;

export class Stage {
  view: View = { scale: 1, x: 0, y: 0 };
  editor: Editor | null = null;
  /** Where the pointer, or the keyboard's cursor, is on the screen. */
  pointer: Point | null = null;
  /** Corners of the polygon that is being drawn, in the region. */
  polygon: readonly Point[] = [];
  others: readonly Region[] = [];
  /** What is drawn over the label map, in the region's pixels. */
  marks: OffscreenCanvas | null = null;
  private readonly context: CanvasRenderingContext2D;
  private readonly backdrop = new Backdrop();
  private frame: number | undefined;
  /** What the next frame draws anew: a part of the screen, or, where it is null, all. */
  private stale: Box | null = NONE;
  /** Where the brush's ring was drawn. */
  private ring: Box = NONE;
  private width = 0;
  private height = 0;
  private observer: ResizeObserver;
  private fittedOnce = false;

  constructor(readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext("2d", { alpha: false })!;
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(canvas);
    this.resize();
  }

  close(): void {
    this.observer.disconnect();
    if (this.frame !== undefined) cancelAnimationFrame(this.frame);
  }

  show(editor: Editor | null): void {
    this.editor = editor;
    if (editor !== null) shorterSide.value = Math.min(editor.task.region.width, editor.task.region.height);
    this.polygon = [];
    this.fit();
  }

  /** The region as large as it fits. */
  fit(): void {
    if (this.editor !== null && this.width > 0) {
      this.view = fitted(this.editor.task.region, this.width, this.height);
      this.fittedOnce = true;
    }
    this.draw();
  }

  get middle(): Point {
    return { x: this.width / 2, y: this.height / 2 };
  }

  /** A point of the screen in pixels of the region. */
  inRegion(at: Point): Point {
    const { x, y } = toImage(this.view, at);
    const region = this.editor!.task.region;
    return { x: x - region.x, y: y - region.y };
  }

  /** A pixel of the region on the screen. */
  onScreen(at: Point): Point {
    const region = this.editor!.task.region;
    return toScreen(this.view, { x: at.x + region.x, y: at.y + region.y });
  }

  /** Draw with the next frame. */
  readonly draw = (): void => {
    this.stale = null;
    this.ask();
  };

  /** Draw with the next frame what of the region has changed. */
  readonly drawPart = (rect: Rect): void => {
    const from = this.onScreen({ x: rect.left - 2, y: rect.top - 2 });
    const to = this.onScreen({ x: rect.right + 2, y: rect.bottom + 2 });
    const changed = { x: from.x, y: from.y, width: to.x - from.x, height: to.y - from.y };
    if (this.stale !== null) this.stale = around(this.stale, changed);
    this.ask();
  };

  readonly redraw = (changed?: Rect): void => (changed === undefined ? this.draw() : this.drawPart(changed));

  /** Draw with the next frame what goes with the pointer. */
  readonly drawPointer = (): void => {
    if (this.polygon.length > 0) this.stale = null;
    this.ask();
  };

  private ask(): void {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.drawNow();
    });
  }

  private resize(): void {
    const { width, height } = this.canvas.getBoundingClientRect();
    this.width = width;
    this.height = height;
    this.canvas.width = Math.max(1, Math.round(width * devicePixelRatio));
    this.canvas.height = Math.max(1, Math.round(height * devicePixelRatio));
    if (this.fittedOnce) this.draw();
    else this.fit();
  }

  private drawNow(): void {
    const { context, editor } = this;
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    const ring = this.ringNow();
    const part = this.stale === null ? null : around(around(this.stale, this.ring), ring);
    this.stale = NONE;
    this.ring = ring;
    context.save();
    if (part !== null) this.clipTo(part);
    if (editor === null) {
      context.fillStyle = GROUND;
      context.fillRect(0, 0, this.width, this.height);
    } else this.drawAll(editor);
    context.restore();
  }

  private drawAll(editor: Editor): void {
    const { context, view } = this;
    const { region, surroundings } = editor.task;
    context.imageSmoothingEnabled = false;
    const backdrop = this.backdrop.drawn(region, surroundings, view, this.canvas);
    context.drawImage(backdrop, 0, 0, this.canvas.width / devicePixelRatio, this.canvas.height / devicePixelRatio);
    context.save();
    context.translate(view.x, view.y);
    context.scale(view.scale, view.scale);
    if (!hidden.value) {
      context.globalAlpha = editor.drawsContours ? 1 : opacity.value;
      context.drawImage(editor.layer.canvas, region.x, region.y);
      context.globalAlpha = 1;
      if (this.marks !== null) context.drawImage(this.marks, region.x, region.y);
    }
    this.drawUnsure(editor);
    context.restore();
    for (const other of this.others) this.outline(other, "rgb(255 255 255 / 0.6)", [4, 4]);
    this.outline(region, "#ffffff", []);
    this.drawPolygon();
    this.drawBrush();
  }

  private drawUnsure({ task }: Editor): void {
    const canvas = task.hints?.uncertainty;
    if (!unsure.value || !canvas) return;
    this.context.imageSmoothingEnabled = true;
    this.context.drawImage(canvas, task.region.x, task.region.y, task.region.width, task.region.height);
  }

  /** Whole pixels of the screen, so that no edge shows. */
  private clipTo(part: Box): void {
    const [left, top] = [part.x, part.y].map((each) => Math.floor(each * devicePixelRatio - 1) / devicePixelRatio);
    const [right, bottom] = [part.x + part.width, part.y + part.height].map(
      (each) => Math.ceil(each * devicePixelRatio + 1) / devicePixelRatio,
    );
    this.context.beginPath();
    this.context.rect(left!, top!, right! - left!, bottom! - top!);
    this.context.clip();
  }

  private ringNow(): Box {
    if (this.pointer === null || !this.hasRing) return NONE;
    const half = (brush.value.size * this.view.scale) / 2 + 4;
    const { x, y } = this.pointer;
    const above = Math.max(half, Math.min(half, ROOM_OF_NUMBER) + 20);
    return { x: x - half, y: y - above, width: 2 * half + ROOM_OF_NUMBER, height: above + half };
  }

  private get hasRing(): boolean {
    return tool.value === "brush" || tool.value === "eraser";
  }

  private outline(box: Box, colour: string, dash: number[]): void {
    const from = toScreen(this.view, box);
    const size = [box.width * this.view.scale, box.height * this.view.scale] as const;
    // White on black is seen on every image.
    for (const [width, style] of [
      [4, "rgb(0 0 0 / 0.7)"],
      [1.5, colour],
    ] as const) {
      this.context.lineWidth = width;
      this.context.strokeStyle = style;
      this.context.setLineDash(dash);
      this.context.strokeRect(from.x, from.y, ...size);
    }
    this.context.setLineDash([]);
  }

  private drawPolygon(): void {
    if (this.polygon.length === 0) return;
    const corners = this.polygon.map((corner) => this.onScreen(corner));
    const { context } = this;
    context.beginPath();
    for (const { x, y } of this.pointer === null ? corners : [...corners, this.pointer]) context.lineTo(x, y);
    this.contrasting(() => context.stroke());
    for (const { x, y } of corners) {
      context.beginPath();
      context.arc(x, y, 4, 0, 2 * Math.PI);
      context.fillStyle = "#fff";
      context.fill();
      this.contrasting(() => context.stroke());
    }
  }

  private drawBrush(): void {
    if (this.pointer === null || !this.hasRing) return;
    const { context } = this;
    const half = (brush.value.size * this.view.scale) / 2;
    context.beginPath();
    if (brush.value.shape === "round") context.arc(this.pointer.x, this.pointer.y, half, 0, 2 * Math.PI);
    else context.rect(this.pointer.x - half, this.pointer.y - half, 2 * half, 2 * half);
    this.contrasting(() => context.stroke());
    context.font = "11px system-ui, sans-serif";
    const [x, y] = [this.pointer.x + Math.min(half, 60) + 4, this.pointer.y - Math.min(half, 60) - 4];
    context.lineWidth = 3;
    context.strokeStyle = "#000";
    context.strokeText(`${brush.value.size} px`, x, y);
    context.fillStyle = "#fff";
    context.fillText(`${brush.value.size} px`, x, y);
  }

  private contrasting(stroke: () => void): void {
    this.context.lineWidth = 3;
    this.context.strokeStyle = "rgb(0 0 0 / 0.75)";
    stroke();
    this.context.lineWidth = 1.25;
    this.context.strokeStyle = "#fff";
    stroke();
  }
}

function around(one: Box, other: Box): Box {
  if (one.width <= 0 || one.height <= 0) return other;
  if (other.width <= 0 || other.height <= 0) return one;
  const [x, y] = [Math.min(one.x, other.x), Math.min(one.y, other.y)];
  return {
    x,
    y,
    width: Math.max(one.x + one.width, other.x + other.width) - x,
    height: Math.max(one.y + one.height, other.y + other.height) - y,
  };
}
