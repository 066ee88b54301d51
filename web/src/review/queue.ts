/** Regions that wait for a reviewer: the first one is decided about, and the next ones are there already. */

import { batch, computed, signal } from "@preact/signals";
import { ApiError, ask, type Schemas } from "../api/client";
import { imageAt, mapAt, type MapAt } from "../ui/pixels";

export type Waiting = Schemas["WaitingRegion"];
export type Decision =
  | { readonly decision: "accepted"; readonly label_id: number }
  | { readonly decision: "rejected"; readonly reason: string; readonly label_id?: number };

const AT_ONCE = 20;
const FEW = 5;
const AHEAD = 2;
const LOOK_MILLISECONDS = 5000;

export class Queue {
  /** null: not yet known. */
  readonly waiting = signal<readonly Waiting[] | null>(null);
  /** How many wait in all. */
  readonly count = signal<number | null>(null);
  /** Decisions that the service has not answered yet. */
  readonly pending = signal(0);
  /** Why the last decision was not taken. */
  readonly trouble = signal<string | null>(null);
  /** Why what waits cannot be seen now. */
  readonly unseen = signal<string | null>(null);
  readonly decided = signal<{ readonly region: Waiting; readonly decision: string } | null>(null);
  readonly first = computed(() => this.waiting.value?.[0]);
  /** The labels of regions that were decided about: with others a region waits anew. */
  private readonly done = new Map<number, string>();
  /** Regions that were decided about and that no decision is known to have reached, in that order. */
  private readonly turns = new Map<number, number>();
  private turn = 0;
  private readonly closed = new AbortController();
  private readonly timer: number;

  constructor(private readonly project: number) {
    this.timer = window.setInterval(() => this.isWanting && void this.look(), LOOK_MILLISECONDS);
  }

  close(): void {
    clearInterval(this.timer);
    this.closed.abort();
  }

  private get isWanting(): boolean {
    return (this.isShort || this.unseen.value !== null) && document.visibilityState === "visible";
  }

  private get isShort(): boolean {
    return (this.waiting.value?.length ?? 0) < FEW;
  }

  /** See what waits now. */
  async look(): Promise<void> {
    const { signal } = this.closed;
    const path = `/projects/${this.project}`;
    try {
      const [page, project] = await Promise.all([
        ask<{ items: Waiting[] }>("GET", `${path}/reviews?limit=${AT_ONCE}`, { signal }),
        ask<Schemas["ProjectDetail"]>("GET", path, { signal }),
      ]);
      const found = this.inOrder(page.items.filter((each) => this.done.get(each.id) !== labelsOf(each)));
      batch(() => {
        this.unseen.value = null;
        this.waiting.value = found;
        this.count.value = Math.max(found.length, (project.regions.review ?? 0) - this.pending.value);
      });
      this.fetchAhead();
    } catch (error) {
      if (!signal.aborted) this.unseen.value = error instanceof Error ? error.message : String(error);
    }
  }

  /** Those that are here stay where they are, so that no other one slips under a reviewer's hand; new ones come behind. */
  private inOrder(found: readonly Waiting[]): Waiting[] {
    const newest = new Map(found.map((each) => [each.id, each]));
    const here = (this.waiting.value ?? []).flatMap((each) => newest.get(each.id) ?? []);
    here.forEach((each) => newest.delete(each.id));
    return [...here, ...newest.values()];
  }

  /** Decide about the first region and go on to the next; one whose decision does not arrive or is refused comes back. */
  async decide(decision: Decision): Promise<void> {
    const region = this.first.value;
    if (region === undefined) return;
    batch(() => {
      this.done.set(region.id, labelsOf(region));
      if (!this.turns.has(region.id)) this.turns.set(region.id, this.turn++);
      this.trouble.value = null;
      this.decided.value = { region, decision: decision.decision };
      this.waiting.value = this.waiting.value!.slice(1);
      this.count.value = Math.max(0, (this.count.value ?? 1) - 1);
      this.pending.value += 1;
    });
    this.fetchAhead();
    try {
      await ask("POST", `/regions/${region.id}/reviews`, { body: decision });
      this.turns.delete(region.id);
    } catch (error) {
      const refused = error instanceof ApiError && !error.passing;
      if (refused) this.turns.delete(region.id);
      batch(() => {
        this.giveBack(region);
        if (this.decided.value?.region === region) this.decided.value = null;
        this.trouble.value = `${region.image_name} (${region.x}, ${region.y}): ${(error as Error).message}`;
      });
    } finally {
      this.pending.value -= 1;
    }
    if (this.isShort || this.trouble.value !== null) await this.look();
  }

  /** One that was refused comes behind the others; one that nobody answered to is the first again, those before it before it. */
  private giveBack(region: Waiting): void {
    this.done.delete(region.id);
    const here = this.waiting.value ?? [];
    if (here.some((each) => each.id === region.id)) return;
    const turnOf = (each: Waiting) => this.turns.get(each.id) ?? Infinity;
    const found = here.findIndex((each) => turnOf(each) > turnOf(region));
    const at = found < 0 ? here.length : found;
    this.waiting.value = [...here.slice(0, at), region, ...here.slice(at)];
    this.count.value = (this.count.value ?? 0) + 1;
  }

  /** Look at the first one later. */
  later(): void {
    const [first, ...rest] = this.waiting.value ?? [];
    if (first !== undefined && rest.length > 0) this.waiting.value = [...rest, first];
    this.fetchAhead();
  }

  private fetchAhead(): void {
    for (const each of (this.waiting.value ?? []).slice(0, AHEAD + 1)) {
      for (const pixels of [imageAt(each.crop_url), ...mapsOf(each).map(mapAt)]) pixels.catch(() => undefined);
    }
  }
}

function labelsOf(region: Waiting): string {
  return region.labels.map((each) => each.id).join();
}

/** The label maps of a region, and what the network says last, if anything. */
export function mapsOf(region: Waiting): MapAt[] {
  const labels = region.labels.map((each) => ({ path: each.mask_url, of: each.id }));
  const predicted = predictionOf(region);
  return predicted === null ? labels : [...labels, predicted];
}

/** What the network says of a region. */
export function predictionOf(region: Waiting): MapAt | null {
  if (region.prediction_url === null) return null;
  return { path: region.prediction_url, of: region.prediction_checkpoint_id };
}
