/** Axes of charts: where a value stands, and which round numbers are marked. */

/** From a value between low and high to a place between two others. */
export function scale(low: number, high: number, from: number, to: number): (value: number) => number {
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

/** From nothing to a little above the largest; to 1 where there is none. */
export function fromZero(values: readonly number[]): [number, number] {
  const most = Math.max(0, ...values);
  return [0, most === 0 ? 1 : 1.04 * most];
}

/** Round numbers from one to another, no more of them than `most` steps apart. */
export function ticks(low: number, high: number, most = 6): number[] {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough)!;
  const found = [];
  for (let at = 0 + Math.ceil(low / step - 1e-9); at * step <= high * (1 + 1e-9); at++) found.push(at * step);
  return found;
}

/** Where the point nearest to a place is in a list; -1 where there is none. */
export function nearest(places: readonly { readonly x: number; readonly y: number }[], x: number, y: number): number {
  let found = -1;
  let least = Infinity;
  places.forEach((place, at) => {
    // Mostly sideways: lines are read from left to right.
    const distance = 9 * (place.x - x) ** 2 + (place.y - y) ** 2;
    if (distance < least) [found, least] = [at, distance];
  });
  return found;
}
