/** How an image divides into regions: drawn over one of one's own. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

const SHOWN_WIDTH = 460;

export function Cells({ height, width }: { height: number; width: number }) {
  const sample = useSignal<ImageBitmap | null>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const picture = sample.value;
  useEffect(() => {
    if (picture === null || canvas.current === null) return;
    draw(canvas.current, picture, height, width);
  }, [picture, height, width]);
  return (
    <div class="cells">
      <label>
        See it on an image of yours (it stays here)
        <input
          type="file"
          accept="image/png,image/jpeg,image/webp,image/bmp"
          onChange={(event) => {
            const file = event.currentTarget.files?.[0];
            if (file) void createImageBitmap(file).then((bitmap) => (sample.value = bitmap));
          }}
        />
      </label>
      {picture !== null && (
        <>
          <canvas ref={canvas} aria-label="The image, cut into regions" role="img" />
          <p class="hint">
            {picture.width} × {picture.height}:{" "}
            {Math.floor(picture.width / width) * Math.floor(picture.height / height)} whole regions
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
