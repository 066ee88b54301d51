/** The regions of a project as far as they were scrolled to, page by page. */

import { computed, signal } from "@preact/signals";
import { ApiError, ask, type Schemas } from "../api/client";

export type Shown = Schemas["ShownRegion"];

interface Part {
  readonly after: number;
  readonly items: readonly Shown[];
  readonly next: number | null;
}

const AT_ONCE = 48;

/** What may be asked for; other words of the address are the page's own. */
export const SOUGHT = ["round", "state", "class", "share", "annotator", "disagreement", "order"] as const;
const NUMBER = /^\d{1,9}$/;
const SHARE = /^(0(\.\d+)?|1(\.0+)?)$/;
/** What each may be; the service refuses others. */
const READABLE: Record<(typeof SOUGHT)[number], RegExp> = {
  round: /^0*[1-9]\d{0,8}$/,
  state: /^(open|review|labelled|skipped)$/,
  class: NUMBER,
  share: SHARE,
  annotator: NUMBER,
  disagreement: SHARE,
  order: /^(value|disagreement)$/,
};

/** What an address asks for that cannot be read, as it stands there. */
export function unreadable(given: URLSearchParams): string[] {
  return SOUGHT.flatMap((name) => {
    const said = given.get(name);
    return said && !READABLE[name].test(said) ? [`${name}=${said}`] : [];
  });
}

export class Listing {
  readonly parts = signal<readonly Part[]>([]);
  readonly loading = signal(false);
  readonly trouble = signal<string | null>(null);
  readonly items = computed(() => this.parts.value.flatMap((each) => each.items));
  readonly complete = computed(() => this.parts.value.at(-1)?.next === null);
  private sought = "";
  private asking = new AbortController();
  private renewing: Promise<void> = Promise.resolve();

  constructor(private readonly project: number) {}

  /** Begin anew with what the address asks for. */
  async begin(query: string): Promise<void> {
    this.asking.abort();
    this.asking = new AbortController();
    const given = new URLSearchParams(query);
    const sought = SOUGHT.flatMap((name) =>
      READABLE[name].test(given.get(name) ?? "") ? [[name, given.get(name)!]] : [],
    );
    this.sought = new URLSearchParams(sought).toString();
    this.parts.value = [];
    this.loading.value = false;
    await this.more();
  }

  /** The next page, if there is one. */
  async more(): Promise<void> {
    if (this.loading.value || this.complete.value) return;
    const { signal } = this.asking;
    this.loading.value = true;
    try {
      const after = this.end;
      const part = await this.part(after, signal);
      if (signal.aborted || this.end !== after) return; // what is before it has changed meanwhile
      this.parts.value = [...this.parts.value, part];
      this.trouble.value = null;
    } catch (error) {
      if (signal.aborted) return;
      this.trouble.value = error instanceof Error ? error.message : String(error);
      if (error instanceof ApiError && error.code === "bad_after") await this.begin(this.sought);
    } finally {
      if (!signal.aborted) this.loading.value = false;
    }
  }

  /** Look again at the pages that regions are on; where one ends elsewhere by now, what follows is another page. */
  renew(regions: ReadonlySet<number>): Promise<void> {
    this.renewing = this.renewing.catch(() => undefined).then(() => this.renewNow(regions));
    return this.renewing;
  }

  private async renewNow(regions: ReadonlySet<number>): Promise<void> {
    const { signal } = this.asking;
    const fresh: Part[] = [];
    // Pages may be added while this goes on.
    for (let at = 0; at < this.parts.value.length; at++) {
      const old = this.parts.value[at]!;
      const after = fresh.at(-1)?.next ?? 0;
      const held = old.items.some((each) => regions.has(each.id));
      if (at > 0 && (fresh.at(-1)!.next === null || (after !== old.after && !held))) break; // it is scrolled to again
      fresh.push(held ? await this.part(after, signal) : old);
      if (signal.aborted) return;
    }
    if (fresh.length > 0) this.parts.value = fresh;
  }

  /** Where the pages that are here end: 0 before the first. */
  private get end(): number | null {
    return this.parts.value.length === 0 ? 0 : this.parts.value.at(-1)!.next;
  }

  private async part(after: number | null, signal: AbortSignal): Promise<Part> {
    const path = `/projects/${this.project}/regions?${this.sought}&limit=${AT_ONCE}&after=${after ?? 0}`;
    const { items, next } = await ask<{ items: Shown[]; next: number | null }>("GET", path, { signal });
    return { after: after ?? 0, items, next };
  }
}
