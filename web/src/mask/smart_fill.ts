/**
 * Smart fill: the pixels that belong together with one that was clicked. A pixel belongs to it at a level: the least, over all
 * ways there, of the hardest step on the way, where a step is hard that crosses an edge or leads to another colour. It is a
 * flooding of the gradient image (Vincent and Soille 1991) from one marker. The level is computed once, and a slider cuts it.
 */

export const LEVELS = 256;

/** How much of what an encoder sees otherwise there. */
const OWN_CONTENT = 0.35;

/** How much of the difference of a pixel's colour from the clicked one's counts beside the edges on the way. */
const OWN_COLOUR = 0.35;

/**
 * The level of each pixel, 0 to 255, from `rgba` of width x height pixels and the place that was clicked;
 * `unlike` is how unlike each pixel is to that one in another way, 0 to 255.
 * O(pixels): a queue with a bucket for each level.
 */
export function levels(
  rgba: Uint8ClampedArray,
  width: number,
  height: number,
  x: number,
  y: number,
  unlike: Uint8Array | null = null,
): Uint8Array {
  const smooth = smoothed(rgba, width, height);
  const found = new Uint8Array(width * height).fill(LEVELS - 1);
  const settled = new Uint8Array(width * height);
  const buckets: number[][] = Array.from({ length: LEVELS }, () => []);
  const start = y * width + x;
  const own = (at: number) => (unlike === null ? 0 : OWN_CONTENT * unlike[at]!);
  found[start] = 0;
  buckets[0]!.push(start);
  for (let level = 0; level < LEVELS; level++) {
    const bucket = buckets[level]!;
    while (bucket.length > 0) {
      const at = bucket.pop()!;
      if (settled[at]) continue;
      settled[at] = 1;
      const col = at % width;
      const look = (next: number) => {
        if (settled[next]) return;
        const step = difference(smooth, at, next) + OWN_COLOUR * difference(smooth, start, next) + own(next);
        const reached = Math.max(level, Math.min(LEVELS - 1, Math.round(step)));
        if (reached < found[next]! || (reached === LEVELS - 1 && !settled[next])) {
          found[next] = reached;
          buckets[reached]!.push(next);
        }
      };
      if (col > 0) look(at - 1);
      if (col < width - 1) look(at + 1);
      if (at >= width) look(at - width);
      if (at < width * (height - 1)) look(at + width);
    }
  }
  return found;
}

/** Which pixels lie at a level or below it: 1 or 0 each. */
export function cut(level: Uint8Array, most: number): Uint8Array {
  return level.map((each) => (each <= most ? 1 : 0));
}

/** Means of 3 x 3 pixels, so that noise is no edge: three numbers a pixel. */
function smoothed(rgba: Uint8ClampedArray, width: number, height: number): Float32Array {
  const found = new Float32Array(3 * width * height);
  for (let row = 0; row < height; row++) {
    for (let col = 0; col < width; col++) {
      const sums = [0, 0, 0];
      let count = 0;
      for (let near = Math.max(0, row - 1); near <= Math.min(height - 1, row + 1); near++) {
        for (let beside = Math.max(0, col - 1); beside <= Math.min(width - 1, col + 1); beside++) {
          const at = 4 * (near * width + beside);
          for (let channel = 0; channel < 3; channel++) sums[channel]! += rgba[at + channel]!;
          count += 1;
        }
      }
      for (let channel = 0; channel < 3; channel++) {
        found[3 * (row * width + col) + channel] = sums[channel]! / count;
      }
    }
  }
  return found;
}

function difference(colours: Float32Array, one: number, other: number): number {
  const red = colours[3 * one]! - colours[3 * other]!;
  const green = colours[3 * one + 1]! - colours[3 * other + 1]!;
  const blue = colours[3 * one + 2]! - colours[3 * other + 2]!;
  return Math.sqrt((red * red + green * green + blue * blue) / 3);
}
