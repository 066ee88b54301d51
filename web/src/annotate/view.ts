/** Where the image lies on the screen: screen = image * scale + offset, all in CSS pixels. */

export interface View {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const LEAST = 0.02;
const MOST = 64;

/** The box as large as it fits, with some room around it. */
export function fitted(box: Box, width: number, height: number, room = 0.86): View {
  const scale = bounded(room * Math.min(width / box.width, height / box.height));
  return {
    scale,
    x: width / 2 - scale * (box.x + box.width / 2),
    y: height / 2 - scale * (box.y + box.height / 2),
  };
}

/** Larger or smaller by a factor; what is under the point on the screen stays there. */
export function zoomed(view: View, factor: number, at: Point): View {
  const scale = bounded(view.scale * factor);
  const by = scale / view.scale;
  return { scale, x: at.x - by * (at.x - view.x), y: at.y - by * (at.y - view.y) };
}

export function moved(view: View, dx: number, dy: number): View {
  return { ...view, x: view.x + dx, y: view.y + dy };
}

export function toImage(view: View, at: Point): Point {
  return { x: (at.x - view.x) / view.scale, y: (at.y - view.y) / view.scale };
}

export function toScreen(view: View, at: Point): Point {
  return { x: view.x + view.scale * at.x, y: view.y + view.scale * at.y };
}

function bounded(scale: number): number {
  return Math.min(MOST, Math.max(LEAST, scale));
}
