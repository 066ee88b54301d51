/** Where label maps of one size differ. */

import type { LabelMap } from "./label_map";

/** 1 for each pixel that one of the others gives another class, 0 for the rest. */
export function differing(map: LabelMap, others: readonly LabelMap[]): Uint8Array {
  const found = new Uint8Array(map.ids.length);
  for (const other of others) {
    for (let at = 0; at < found.length; at++) if (other.ids[at] !== map.ids[at]) found[at] = 1;
  }
  return found;
}

/** The share of pixels that differ. */
export function share(different: Uint8Array): number {
  let count = 0;
  for (const each of different) count += each;
  return count / Math.max(1, different.length);
}
