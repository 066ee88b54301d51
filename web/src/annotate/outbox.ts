/** Sends what is done, in order, once: now, or when the network is back. The same pixels twice are one label to the service. */

import { signal } from "@preact/signals";
import { ApiError, ask } from "../api/client";
import { encodePng } from "../mask/png";
import { drafts, outboxTable, type Parcel } from "./work";

const FIRST_WAIT = 1;
const LONGEST_WAIT = 30;

export class Outbox {
  /** Waiting to be sent. */
  readonly waiting = signal<readonly Parcel[]>([]);
  readonly refused = signal<readonly Parcel[]>([]);
  /** Whether the service could be reached last time. */
  readonly reached = signal(true);
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
    const own = (await outboxTable.all()).filter((parcel) => parcel.key.startsWith(`${this.annotator}/`));
    own.sort((one, other) => one.savedAt - other.savedAt);
    this.waiting.value = own.filter((parcel) => parcel.refused === undefined);
    this.refused.value = own.filter((parcel) => parcel.refused !== undefined);
    this.flush();
  }

  /** Take a parcel: once this returns it survives the browser. */
  async add(parcel: Parcel): Promise<void> {
    await outboxTable.put(parcel);
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
      await outboxTable.remove(parcel.key);
      await drafts.remove(parcel.key);
    } catch (error) {
      if (!(error instanceof ApiError) || error.passing || error.status === 401) throw error;
      const refused = { ...parcel, refused: error.message };
      await outboxTable.put(refused);
      this.refused.value = [...this.refused.value, refused];
    }
    // Another version may have been added while this one was on its way.
    this.waiting.value = this.waiting.value.filter((each) => each !== parcel);
  }
}

/** Bytes as text, as the service takes them in JSON. */
export function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}
