/** What lies before an annotator: one region that is worked on, the next ones ready, and the last ones that were sent. */

import { batch, signal } from "@preact/signals";
import { ApiError, ask, type Schemas, sentence } from "../api/client";
import { renewThoseDue } from "./lease";
import { Outbox } from "./outbox";
import { type Region, Task } from "./task";
import type { Parcel } from "./work";

const AHEAD = 2;
const REMEMBERED = 10;
const WAIT_SECONDS = 20;
const AT_WORK_SECONDS = 120;
const LOOK_AGAIN_SECONDS = 30;

type Done = Schemas["DoneOut"];

/** Why there is nothing to paint. */
export interface Nothing {
  readonly reason: string;
  readonly sentence: string | null;
}

/** A region that cannot be shown: why, and when that was found last (milliseconds). */
export interface Unreadable {
  readonly region: Region;
  readonly why: string;
  readonly at: number;
}

export class Desk {
  readonly current = signal<Task | null>(null);
  readonly ready = signal<readonly Task[]>([]);
  readonly done = signal<readonly Task[]>([]);
  readonly earlier = signal<readonly Done[]>([]);
  readonly nothing = signal<Nothing | null>(null);
  readonly trouble = signal<string | null>(null);
  /** Regions that are ours and cannot be shown, such as of images that are not where they were. */
  readonly unreadable = signal<readonly Unreadable[]>([]);
  readonly submitted = signal(0);
  readonly outbox: Outbox;
  private readonly closed = new AbortController();
  /** Leases that this visit has done with: an answer that was on its way meanwhile may still hold them. */
  private readonly ended = new Set<string>();
  /** Regions of earlier visits that are on their way back to the desk. */
  private readonly returning = new Set<number>();
  private filling = false;
  private retry: number | undefined;
  private heartbeat: number;
  private lastSign = Date.now();

  constructor(
    readonly annotator: number,
    readonly project: number,
    readonly unlabelled: number,
  ) {
    this.outbox = new Outbox(annotator);
    this.heartbeat = window.setInterval(() => void this.holdOn(), 5000);
  }

  async open(): Promise<void> {
    await this.outbox.load();
    await Promise.all([this.fill(), this.remember()]);
  }

  /** What was done before this visit. */
  private async remember(): Promise<void> {
    const path = `/labels?mine=true&project=${this.project}&limit=${REMEMBERED}`;
    try {
      this.earlier.value = (await ask<{ items: Done[] }>("GET", path, { signal: this.closed.signal })).items;
    } catch {
      // Without it there is no way back to earlier visits, and all else works.
    }
  }

  close(): void {
    this.closed.abort();
    this.outbox.close();
    clearTimeout(this.retry);
    clearInterval(this.heartbeat);
    this.current.value?.stopwatch.pause();
    void this.current.value?.save();
  }

  /** The person did something. */
  sign(): void {
    this.lastSign = Date.now();
    this.current.value?.stopwatch.tick();
  }

  /** Send what is painted, and go on to the next region. Once this returns the work survives the browser. */
  async submit(): Promise<void> {
    const task = this.current.value;
    if (task === null) return;
    task.stopwatch.pause();
    const { region } = task;
    const parcel: Parcel = {
      ...task.draft(),
      project: this.project,
      leaseToken: task.leaseToken,
      imageName: region.image_name,
    };
    const kept = this.outbox.add(parcel);
    this.ended.add(task.leaseToken);
    batch(() => {
      this.done.value = [task, ...this.done.value.filter((each) => each.key !== task.key)].slice(0, REMEMBERED);
      this.submitted.value += 1;
      this.next();
    });
    await kept;
    await this.fill();
  }

  /** Set the region aside, with a reason. */
  async skip(reason: string): Promise<void> {
    const task = this.current.value;
    if (task === null) return;
    if (!(await this.setAside(task.region.id, task.leaseToken, reason))) return;
    task.skipped = true;
    batch(() => {
      this.done.value = [task, ...this.done.value.filter((each) => each.key !== task.key)].slice(0, REMEMBERED);
      this.next();
    });
    await this.fill();
  }

  /** Set a region aside that cannot be shown. */
  async skipUnreadable({ region }: Unreadable): Promise<void> {
    if (!(await this.setAside(region.id, region.lease_token, "The image cannot be read."))) return;
    this.unreadable.value = this.unreadable.value.filter((each) => each.region.id !== region.id);
    await this.fill();
  }

  /** Returns whether the service has taken it. */
  private async setAside(region: number, token: string, reason: string): Promise<boolean> {
    try {
      await ask("POST", `/regions/${region}/skip`, { body: { lease_token: token, reason } });
    } catch (error) {
      this.trouble.value = sentence(error);
      return false;
    }
    this.ended.add(token);
    return true;
  }

  /** Look again at one that was sent or skipped. What is on the desk stays there, as it is. */
  async goBack(task: Task): Promise<void> {
    // It leaves the list before the service answers: asked for twice, it would stand here twice.
    if (!this.done.value.includes(task)) return;
    this.done.value = this.done.value.filter((each) => each !== task);
    if (task.skipped) {
      try {
        task.holdBy(await ask<Region>("POST", `/regions/${task.region.id}/reopen`));
      } catch (error) {
        this.done.value = [task, ...this.done.value];
        this.trouble.value = sentence(error);
        return;
      }
      task.skipped = false;
    }
    this.turnTo(task);
  }

  /** Look again at one of an earlier visit. */
  async goBackTo(done: Done): Promise<void> {
    const { signal } = this.closed;
    if (!this.earlier.value.includes(done)) return; // it is on its way
    this.earlier.value = this.earlier.value.filter((each) => each !== done);
    const here = this.here().find((each) => each.region.id === done.region_id);
    if (here !== undefined) {
      this.turnTo(here);
      return;
    }
    this.returning.add(done.region_id);
    try {
      const region = await ask<Region>("POST", `/regions/${done.region_id}/reopen`, { signal });
      this.turnTo(await Task.again(region, this.annotator, this.unlabelled, signal));
    } catch (error) {
      this.earlier.value = [done, ...this.earlier.value];
      this.trouble.value = sentence(error);
    } finally {
      this.returning.delete(done.region_id);
    }
  }

  /** Go on with another one of those that are ready. */
  turnTo(task: Task): void {
    const now = this.current.value;
    now?.stopwatch.pause();
    void now?.save();
    batch(() => {
      const others = this.ready.value.filter((each) => each !== task);
      this.ready.value = now === null ? others : [now, ...others];
      this.current.value = task;
    });
  }

  private next(): void {
    this.current.value = this.ready.value[0] ?? null;
    this.ready.value = this.ready.value.slice(1);
    this.lastSign = Date.now();
  }

  /** Fetch regions until enough are ready. */
  async fill(): Promise<void> {
    if (this.filling || this.closed.signal.aborted) return;
    this.filling = true;
    clearTimeout(this.retry);
    let again: number | null;
    try {
      again = await this.fetchSome();
      this.trouble.value = null;
    } catch (error) {
      if (this.closed.signal.aborted) return;
      this.trouble.value = sentence(error);
      again = error instanceof ApiError ? (error.retryAfter ?? 5) : 2;
    } finally {
      this.filling = false;
    }
    if (again !== null) this.retry = window.setTimeout(() => void this.fill(), 1000 * again);
  }

  /** Returns after how many seconds to ask again; null where there is enough. */
  private async fetchSome(): Promise<number | null> {
    const here = this.here();
    const missing = AHEAD + 1 - here.length;
    if (missing <= 0) return null;
    const wait = here.length === 0 ? WAIT_SECONDS : 0;
    const others = this.outbox.waiting.value.length + this.unreadable.value.length;
    const query = `project=${this.project}&count=${AHEAD + 1 + others}&wait=${wait}`;
    const { signal } = this.closed;
    const given = await ask<Schemas["NextRegions"]>("GET", `/next-regions?${query}`, { signal });
    const known = new Map(this.here().map((task) => [task.region.id, task]));
    for (const region of given.items) known.get(region.id)?.holdBy(region);
    const fresh = given.items.filter((region) => !known.has(region.id) && !this.isDone(region));
    const held = new Set(given.items.map((region) => region.id));
    this.unreadable.value = this.unreadable.value.filter((each) => held.has(each.region.id));
    const due = fresh.filter((region) => !this.wasUnreadable(region));
    for (const region of due) await this.bring(region);
    if (this.here().length > 0) {
      this.nothing.value = null;
      return due.length > 0 && this.here().length <= AHEAD ? 0 : 2;
    }
    const reason = this.unreadable.value.length > 0 ? "unreadable" : "scoring";
    this.nothing.value = { reason: given.reason ?? reason, sentence: given.sentence ?? null };
    return given.retry_after ?? 1;
  }

  /** Put a region on the desk; one that the service cannot show stops none of the others. */
  private async bring(region: Region): Promise<void> {
    const others = this.unreadable.value.filter((each) => each.region.id !== region.id);
    try {
      this.place(await Task.load(region, this.annotator, this.unlabelled, this.closed.signal));
      this.unreadable.value = others;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status === 401) throw error;
      this.unreadable.value = [...others, { region, why: error.message, at: Date.now() }];
    }
  }

  private wasUnreadable(region: Region): boolean {
    const known = this.unreadable.value.find((each) => each.region.id === region.id);
    return known !== undefined && Date.now() - known.at < 1000 * LOOK_AGAIN_SECONDS;
  }

  /** Whether the region was sent or skipped by this very lease, or comes back by itself. What was refused is to be done again. */
  private isDone(region: Region): boolean {
    if (this.returning.has(region.id)) return true;
    const refused = this.outbox.refused.value.some((parcel) => parcel.regionId === region.id);
    return this.outbox.has(region.id) || (this.ended.has(region.lease_token) && !refused);
  }

  private here(): Task[] {
    const now = this.current.value;
    return now === null ? [...this.ready.value] : [now, ...this.ready.value];
  }

  private place(task: Task): void {
    if (this.current.value === null) this.current.value = task;
    else this.ready.value = [...this.ready.value, task];
    void task.widen(this.closed.signal).then(
      () => {
        this.widened.value += 1; // who looks at the task sees more of its image
      },
      () => undefined,
    );
  }

  readonly widened = signal(0);

  /** Renew leases while somebody is at work. */
  private async holdOn(): Promise<void> {
    if (Date.now() - this.lastSign > 1000 * AT_WORK_SECONDS) return;
    await renewThoseDue(this.here());
  }
}

export type { Region };
