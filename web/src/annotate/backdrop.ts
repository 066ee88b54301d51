/** The image, dimmed around the region, as it lies on the screen: drawn anew only where the view, or the image, is another. */

import { contrast, gamma } from "./options";
import type { Surroundings } from "./bench";
import type { Box, View } from "./view";

const GROUND = "#15181c";
const DIMMED = "rgb(0 0 0 / 0.55)";
const NEAREST_FROM = 3;

interface Shown {
  readonly picture: ImageBitmap | null;
  readonly region: Box | null;
  readonly rest: string;
}

export class Backdrop {
  // Not an offscreen one, which knows no filters of the page's.
  private readonly canvas = document.createElement("canvas");
  private readonly context = this.canvas.getContext("2d", { alpha: false })!;
  private shown: Shown = { picture: null, region: null, rest: "" };

  /** Of `width` x `height` device pixels. */
  drawn(
    region: Box,
    surroundings: Surroundings,
    view: View,
    size: { readonly width: number; readonly height: number },
  ): HTMLCanvasElement {
    const rest = [
      view.x,
      view.y,
      view.scale,
      size.width,
      size.height,
      devicePixelRatio,
      contrast.value,
      gamma.value,
    ].join();
    const { picture } = surroundings;
    const { shown } = this;
    if (shown.picture !== picture || shown.region !== region || shown.rest !== rest) {
      this.shown = { picture, region, rest };
      this.draw(region, surroundings, view, size);
    }
    return this.canvas;
  }

  private draw(
    region: Box,
    { picture, x, y }: Surroundings,
    view: View,
    { width, height }: { readonly width: number; readonly height: number },
  ): void {
    const { canvas, context } = this;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = GROUND;
    context.fillRect(0, 0, width, height);
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.translate(view.x, view.y);
    context.scale(view.scale, view.scale);
    context.imageSmoothingEnabled = view.scale < NEAREST_FROM;
    context.filter = filter();
    context.drawImage(picture, x, y);
    context.filter = "none";
    context.beginPath();
    context.rect(x, y, picture.width, picture.height);
    context.rect(region.x, region.y, region.width, region.height);
    context.fillStyle = DIMMED;
    context.fill("evenodd");
  }
}

function filter(): string {
  const parts = [];
  if (gamma.value !== 1) parts.push("url(#gamma)");
  if (contrast.value !== 1) parts.push(`contrast(${contrast.value})`);
  return parts.join(" ") || "none";
}
