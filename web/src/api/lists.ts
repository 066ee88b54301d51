/** Lists that the service gives page by page. */

import { ask } from "./client";

const AT_ONCE = 500;

/** All of a list. */
export async function all<T>(path: string, signal?: AbortSignal): Promise<T[]> {
  const found: T[] = [];
  const asked = signal === undefined ? {} : { signal };
  for (let after: number | null = 0; after !== null;) {
    const page: { items: T[]; next: number | null } = await ask(
      "GET",
      `${path}?limit=${AT_ONCE}&after=${after}`,
      asked,
    );
    found.push(...page.items);
    after = page.next;
  }
  return found;
}
