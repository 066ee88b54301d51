/** What is clicked twice is done once. */

import type { Signal } from "@preact/signals";

/** Does it, unless something is being done already. */
export async function once(busy: Signal<boolean>, doing: () => Promise<void>): Promise<void> {
  if (busy.value) return;
  busy.value = true;
  try {
    await doing();
  } finally {
    busy.value = false;
  }
}
