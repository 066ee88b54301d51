/** How an image divides into regions: drawn over one of one's own. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { regionsOf } from "./grid";

const SHOWN_WIDTH = 460;

export function Cells({ height, width }: { height: number; width: number }) {
  const sample = useSignal<ImageBitmap | null>(null);
  const unreadable = useSignal<string | null>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const picture = sample.value;
  useEffect(() => {
    if (picture === null || canvas.current === null) return;
    draw(canvas.current, picture, height, width);
  }, [picture, height, width]);
  const show = async (file: File) => {
    const bitmap = await createImageBitmap(file).catch(() => null);
    sample.value = bitmap;
    unreadable.value = bitmap === null ? file.name : null;
  };
  const regions = picture === null ? 0 : regionsOf(picture, { height, width });
  return (
    <div class="cells">
      <label>
        See it on an image of yours (it stays here)
        <input
          type="file"
          accept="image/png,image/jpeg,image/webp,image/bmp"
          onChange={(event) => {
            const file = event.currentTarget.files?.[0];
            if (file) void show(file);
          }}
        />
      </label>
      {unreadable.value !== null && (
        <p class="warning" role="alert">
          {unreadable.value} cannot be read as an image.
        </p>
      )}
      {picture !== null && (
        <>
          <canvas ref={canvas} aria-label="The image, cut into regions" role="img" />
          <p class="hint">
            {picture.width} × {picture.height}: {regions} {regions === 1 ? "region" : "regions"}
          </p>
        </>
      )}
    </div>
  );
}

function draw(canvas: HTMLCanvasElement, picture: ImageBitmap, height: number, width: number): void {
  const scale = Math.min(1, SHOWN_WIDTH / picture.width);
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  const context = canvas.getContext("2d")!;
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  context.strokeStyle = "rgb(255 255 255 / 0.85)";
  for (let x = width; x < picture.width; x += width) line(context, x * scale, 0, x * scale, canvas.height);
  for (let y = height; y < picture.height; y += height) line(context, 0, y * scale, canvas.width, y * scale);
}

function line(context: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}
