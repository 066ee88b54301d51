/** Sends what is done, in order, once: now, or when the network is back. The same pixels twice are one label to the service. */

import { signal } from "@preact/signals";
import { ApiError, ask } from "../api/client";
import { encodePng } from "../mask/png";
import { type Draft, drafts, outboxTable, type Parcel } from "./work";

const FIRST_WAIT = 1;
const LONGEST_WAIT = 30;

export class Outbox {
  /** Waiting to be sent. */
  readonly waiting = signal<readonly Parcel[]>([]);
  readonly refused = signal<readonly Parcel[]>([]);
  /** Whether the service could be reached last time. */
  readonly reached = signal(true);
  /** Whether the browser failed to keep a parcel: it is sent from memory, while the page is open. */
  readonly unkept = signal(false);
  private sending = false;
  private wait = FIRST_WAIT;
  private timer: number | undefined;

  constructor(private readonly annotator: number) {
    addEventListener("online", this.flush);
  }

  close(): void {
    removeEventListener("online", this.flush);
    clearTimeout(this.timer);
  }

  /** What an earlier visit left. */
  async load(): Promise<void> {
    const kept = await outboxTable.all().catch(() => []); // a browser that keeps nothing has nothing of before
    const own = kept.filter((parcel) => parcel.key.startsWith(`${this.annotator}/`));
    own.sort((one, other) => one.savedAt - other.savedAt);
    this.waiting.value = own.filter((parcel) => parcel.refused === undefined);
    this.refused.value = own.filter((parcel) => parcel.refused !== undefined);
    this.flush();
  }

  /** Take a parcel: once this returns it survives the browser, unless that keeps nothing, which is said. */
  async add(parcel: Parcel): Promise<void> {
    try {
      await outboxTable.put(parcel);
    } catch {
      this.unkept.value = true;
    }
    this.waiting.value = [...this.waiting.value.filter((each) => each.key !== parcel.key), parcel];
    this.flush();
  }

  has(regionId: number): boolean {
    return this.waiting.value.some((parcel) => parcel.regionId === regionId);
  }

  /** Throw a refused parcel away. */
  async drop(parcel: Parcel): Promise<void> {
    await outboxTable.remove(parcel.key);
    this.refused.value = this.refused.value.filter((each) => each.key !== parcel.key);
  }

  readonly flush = (): void => {
    clearTimeout(this.timer);
    void this.sendAll();
  };

  private async sendAll(): Promise<void> {
    if (this.sending) return;
    this.sending = true;
    try {
      for (let next = this.waiting.value[0]; next !== undefined; next = this.waiting.value[0]) {
        await this.send(next);
        this.reached.value = true;
        this.wait = FIRST_WAIT;
      }
    } catch {
      this.reached.value = false;
      this.timer = window.setTimeout(this.flush, 1000 * this.wait);
      this.wait = Math.min(LONGEST_WAIT, 2 * this.wait);
    } finally {
      this.sending = false;
    }
  }

  /** Throws where it is worth trying again. */
  private async send(parcel: Parcel): Promise<void> {
    const png = await encodePng(parcel);
    const label = {
      region_id: parcel.regionId,
      lease_token: parcel.leaseToken,
      mask_png: base64(png),
      seconds: Math.round(10 * parcel.activeSeconds) / 10,
      idle_seconds: Math.round(10 * parcel.idleSeconds) / 10,
    };
    try {
      await ask("POST", "/labels", { body: { labels: [label] } });
      await this.settle(parcel, null);
    } catch (error) {
      if (!(error instanceof ApiError) || error.passing || error.status === 401) throw error;
      const refused = { ...parcel, refused: error.message };
      await this.settle(parcel, refused);
      // Of a label that was painted over since, the newer version is the one that counts.
      if (this.waiting.value.includes(parcel)) this.refused.value = [...this.refused.value, refused];
    }
    this.waiting.value = this.waiting.value.filter((each) => each !== parcel);
    if (this.waiting.value.length === 0) this.unkept.value = false;
  }

  /** What is kept of a parcel goes, or is kept as refused. Another version may have come while this one was on its way. */
  private async settle(parcel: Parcel, refused: Parcel | null): Promise<void> {
    const ours = (row: Draft) => row.savedAt <= parcel.savedAt;
    try {
      await outboxTable.exchange(parcel.key, ours, refused);
      if (refused === null) await drafts.exchange(parcel.key, ours, null);
    } catch {
      // What the browser does not keep it need not forget.
    }
  }
}

/** Bytes as text, as the service takes them in JSON. */
export function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}
