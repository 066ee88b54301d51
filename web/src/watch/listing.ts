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

export class Listing {
  readonly parts = signal<readonly Part[]>([]);
  readonly loading = signal(false);
  readonly trouble = signal<string | null>(null);
  readonly items = computed(() => this.parts.value.flatMap((each) => each.items));
  readonly complete = computed(() => this.parts.value.at(-1)?.next === null);
  private sought = "";
  private asking = new AbortController();

  constructor(private readonly project: number) {}

  /** Begin anew with what the address asks for. */
  async begin(query: string): Promise<void> {
    this.asking.abort();
    this.asking = new AbortController();
    const given = new URLSearchParams(query);
    const sought = SOUGHT.flatMap((name) => (given.get(name) ? [[name, given.get(name)!]] : []));
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
      const part = await this.part(this.parts.value.at(-1)?.next ?? 0, signal);
      if (signal.aborted) return;
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

  /** Look again at the page that a region is on: it has a new label. */
  async renew(region: number): Promise<void> {
    const old = this.parts.value.find((part) => part.items.some((each) => each.id === region));
    if (old === undefined) return;
    const fresh = await this.part(old.after, this.asking.signal);
    this.parts.value = this.parts.value.map((part) => (part === old ? fresh : part));
  }

  private async part(after: number, signal: AbortSignal): Promise<Part> {
    const path = `/projects/${this.project}/regions?${this.sought}&limit=${AT_ONCE}&after=${after}`;
    const { items, next } = await ask<{ items: Shown[]; next: number | null }>("GET", path, { signal });
    return { after, items, next };
  }
}
