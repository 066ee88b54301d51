/** A label map as pixels to be drawn over the image. */

import { isOutline, touched } from "../mask/outlines";
import type { LabelMap, Rect } from "../mask/label_map";
import { isEmpty, whole } from "../mask/label_map";

export interface Look {
  /** Red, green, blue by class id. */
  readonly colours: ReadonlyMap<number, readonly number[]>;
  readonly contours: boolean;
  readonly patterns: boolean;
  /** Unlabelled pixels are made visible. */
  readonly marked: boolean;
  readonly unlabelled: number;
}

const MARK = [255, 0, 255, 255] as const;

/** Which pixels of a class's pattern are dark, by the class's place among the classes: colours alone tell nobody all. */
const PATTERNS: readonly ((x: number, y: number) => boolean)[] = [
  () => false,
  (x, y) => (x + y) % 6 === 0,
  (x, y) => (x - y + 6000) % 6 === 0,
  (_, y) => y % 5 === 0,
  (x) => x % 5 === 0,
  (x, y) => x % 4 === 0 && y % 4 === 0,
  (x, y) => (x + y) % 6 === 0 || (x - y + 6000) % 6 === 0,
  (x, y) => x % 5 === 0 || y % 5 === 0,
];

export class Layer {
  readonly canvas: OffscreenCanvas;
  private readonly context: OffscreenCanvasRenderingContext2D;

  constructor(
    private readonly map: LabelMap,
    private look: Look,
  ) {
    this.canvas = new OffscreenCanvas(map.width, map.height);
    this.context = this.canvas.getContext("2d")!;
    this.draw(whole(map));
  }

  restyle(look: Look): void {
    this.look = look;
    this.draw(whole(this.map));
  }

  get drawsContours(): boolean {
    return this.look.contours;
  }

  /** Draw what changed. */
  update(rect: Rect): void {
    this.draw(this.look.contours ? touched(this.map, rect) : rect);
  }

  private draw(rect: Rect): void {
    if (isEmpty(rect)) return;
    const width = rect.right - rect.left;
    const image = new ImageData(width, rect.bottom - rect.top);
    const pixels = new Uint32Array(image.data.buffer);
    const plain = packedColours(this.look);
    const patterns = this.look.patterns ? patternsOf(this.look) : null;
    const { ids } = this.map;
    for (let row = rect.top; row < rect.bottom; row++) {
      for (let col = rect.left; col < rect.right; col++) {
        const id = ids[row * this.map.width + col]!;
        let pixel = plain[id]!;
        if (this.look.contours && id !== this.look.unlabelled && !isOutline(this.map, col, row)) pixel = 0;
        else if (patterns?.[id]?.(col, row)) pixel = darker(pixel);
        pixels[(row - rect.top) * width + col - rect.left] = pixel;
      }
    }
    this.context.putImageData(image, rect.left, rect.top);
  }
}

/** A colour of each class id in the byte order of image data, on the little-endian machines that browsers run on. */
function packedColours(look: Look): Uint32Array {
  const packed = new Uint32Array(256);
  for (const [id, [red, green, blue]] of look.colours) packed[id] = pack(red!, green!, blue!, 255);
  packed[look.unlabelled] = look.marked ? pack(...MARK) : 0;
  return packed;
}

function patternsOf(look: Look): (typeof PATTERNS)[number][] {
  const found: (typeof PATTERNS)[number][] = [];
  [...look.colours.keys()].forEach((id, place) => (found[id] = PATTERNS[place % PATTERNS.length]!));
  return found;
}

function pack(red: number, green: number, blue: number, alpha: number): number {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

function darker(pixel: number): number {
  return ((pixel & 0xff000000) | ((pixel >>> 1) & 0x7f7f7f)) >>> 0;
}
