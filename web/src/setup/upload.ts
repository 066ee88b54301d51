/** Images and label maps on their way to the service: in batches, each file that is refused named with the reason. */

import { computed, signal } from "@preact/signals";
import { ApiError, ask, type Schemas, Unreachable } from "../api/client";
import { type Pair, Pairs, type Sorted, sorted, type Waiting } from "./pairs";
import { entriesOf } from "./unzip";

const MOST_FILES = 20;
const MOST_BYTES = 12 << 20;

type Kind = "images" | "label-maps";

export interface Refused {
  readonly kind: Kind | "archives";
  readonly name: string;
  readonly reason: string;
}

/** Where files go, and how label maps are read: words of the API, none for class ids. */
export interface Target {
  readonly split: string;
  readonly reading: string;
}

/** An image, perhaps with its label map, or a label map alone. */
interface Parcel {
  readonly kind: Kind;
  readonly name: string;
  readonly size: number;
  readonly image: Waiting | null;
  readonly label: Waiting | null;
  readonly target: Target;
}

export class Upload {
  readonly unsent = signal<readonly Parcel[]>([]);
  readonly sent = signal(0);
  readonly added = signal(0);
  /** Regions that label maps of images in the pool have labelled. */
  readonly labelled = signal(0);
  readonly refused = signal<readonly Refused[]>([]);
  readonly refusals = computed(() => this.refused.value.filter(({ kind }) => kind !== "archives").length);
  readonly total = computed(() => this.sent.value + this.refusals.value + this.unsent.value.length);
  /** Why the rest is not sent for now. */
  readonly trouble = signal<string | null>(null);
  /** Of splits that come labelled. */
  readonly pairs = signal<ReadonlyMap<string, Pairs>>(new Map());
  private sending: Promise<void> | null = null;

  constructor(private readonly project: number) {}

  /** Whether files are here that the service does not have. */
  get unfinished(): boolean {
    const waiting = [...this.pairs.value.values()].some(
      (each) => each.images.value.length + each.labels.value.length > 0,
    );
    return waiting || this.unsent.value.length > 0;
  }

  /** Take images or label maps, and both out of zip archives. Images of the pool go at once, others with their label maps. */
  async take(files: readonly File[], kind: keyof Sorted, target: Target): Promise<void> {
    const found = await this.unpacked(files, kind);
    if (target.split === "pool") {
      const labels = found.labels.map((label): Parcel => ({ ...parcel(null, label, target), kind: "label-maps" }));
      this.unsent.value = [
        ...this.unsent.value,
        ...found.images.map((image) => parcel(image, null, target)),
        ...labels,
      ];
    } else {
      const { pairs, doubled } = this.waitingIn(target.split).match(found);
      for (const { name, other } of doubled) {
        this.refuse("label-maps", name, `${other} is here already as the label map of the same image.`);
      }
      this.add(pairs, target);
    }
    await this.send();
  }

  /** Send the images of a split that have found no label map. */
  async sendWithout(target: Target): Promise<void> {
    this.add(this.waitingIn(target.split).without(), target);
    await this.send();
  }

  /** Send all that is unsent, until nobody answers. */
  async send(): Promise<void> {
    this.sending ??= this.sendAll().finally(() => (this.sending = null));
    await this.sending;
  }

  /** Give up what is unsent. */
  leave(): void {
    [this.unsent.value, this.trouble.value] = [[], null];
  }

  private async sendAll(): Promise<void> {
    this.trouble.value = null;
    try {
      while (this.unsent.value.length > 0) await this.attempt(batchFrom(this.unsent.value));
    } catch (error) {
      this.trouble.value = (error as Error).message;
    }
  }

  private add(pairs: readonly Pair[], target: Target): void {
    this.unsent.value = [...this.unsent.value, ...pairs.map(({ image, label }) => parcel(image, label, target))];
  }

  private waitingIn(split: string): Pairs {
    const found = this.pairs.value.get(split) ?? new Pairs();
    this.pairs.value = new Map([...this.pairs.value, [split, found]]);
    return found;
  }

  private async unpacked(files: readonly File[], kind: keyof Sorted): Promise<Sorted> {
    const found: Sorted = { images: [], labels: [] };
    for (const file of files) {
      if (!/\.zip$/i.test(file.name)) {
        found[kind].push({ name: file.name, size: file.size, read: async () => file });
        continue;
      }
      try {
        const { images, labels } = sorted(await entriesOf(file));
        const only = kind === "labels" && labels.length === 0;
        found.images.push(...(only ? [] : images));
        found.labels.push(...(only ? images : labels));
        this.forgive("archives", file.name);
      } catch (error) {
        this.refuse("archives", file.name, (error as Error).message);
      }
    }
    return found;
  }

  /** The service takes all of a request or nothing: where it refuses, each one is sent by itself. */
  private async attempt(batch: readonly Parcel[]): Promise<void> {
    try {
      await this.post(batch);
      for (const { kind, name, label } of batch) {
        this.forgive(kind, name);
        if (label !== null) this.forgive("label-maps", label.name);
      }
      this.sent.value += batch.length;
    } catch (error) {
      if (isNoAnswer(error)) throw error;
      if (batch.length > 1) {
        for (const one of batch) await this.attempt([one]);
        return;
      }
      this.refuse(batch[0]!.kind, batch[0]!.name, (error as Error).message);
    }
    this.unsent.value = this.unsent.value.filter((each) => !batch.includes(each));
  }

  private async post(batch: readonly Parcel[]): Promise<void> {
    const { kind, target } = batch[0]!;
    const form = new FormData();
    if (kind === "images") form.append("split", target.split);
    form.append("label_reading", target.reading);
    for (const { image, label } of batch) {
      if (image !== null) form.append("image", await image.read(), image.name);
      if (label !== null) form.append("label_map", await label.read(), label.name);
    }
    const path = `/projects/${this.project}/${kind}`;
    if (kind === "images") {
      const { items } = await ask<Schemas["ImagesAdded"]>("POST", path, { body: form });
      this.added.value += items.filter((item) => item.status === "created").length;
    } else {
      // Of images that the pool has already: regions that are labelled as a whole need nobody any more.
      const { items } = await ask<Schemas["LabelsImported"]>("POST", path, { body: form });
      this.labelled.value += items.reduce((all, { regions }) => all + regions.length, 0);
    }
  }

  private refuse(kind: Refused["kind"], name: string, text: string): void {
    this.forgive(kind, name);
    const reason = text.startsWith(`${name}: `) ? text.slice(name.length + 2) : text;
    this.refused.value = [...this.refused.value, { kind, name, reason }];
  }

  private forgive(kind: Refused["kind"], name: string): void {
    this.refused.value = this.refused.value.filter((each) => each.kind !== kind || each.name !== name);
  }
}

const uploads = new Map<string, Upload>();

/** Somebody's upload into a project, which goes on whatever page is shown. */
export function uploadOf(annotator: number, project: number): Upload {
  const key = `${annotator}/${project}`;
  const found = uploads.get(key) ?? new Upload(project);
  uploads.set(key, found);
  return found;
}

addEventListener("beforeunload", (event) => {
  if ([...uploads.values()].some((each) => each.unfinished)) event.preventDefault();
});

/** Whether it was not about the files: sent again they may be taken. */
function isNoAnswer(error: unknown): boolean {
  return (
    error instanceof Unreachable || (error instanceof ApiError && (error.passing || [401, 403].includes(error.status)))
  );
}

function parcel(image: Waiting | null, label: Waiting | null, target: Target): Parcel {
  const name = (image ?? label!).name;
  return { kind: "images", name, size: (image?.size ?? 0) + (label?.size ?? 0), image, label, target };
}

/** Files of one kind that go to one place, as many as a request may hold. */
function batchFrom(all: readonly Parcel[]): Parcel[] {
  const first = all[0]!;
  const batch: Parcel[] = [];
  let bytes = 0;
  for (const each of all.slice(0, MOST_FILES)) {
    if (each.kind !== first.kind || each.target !== first.target) break;
    if (batch.length > 0 && bytes + each.size > MOST_BYTES) break;
    batch.push(each);
    bytes += each.size;
  }
  return batch;
}
