/** Images and label maps on their way to the service: in batches, each file that is refused named with the reason. */

import { signal } from "@preact/signals";
import { apiUrl, type Schemas } from "../api/client";
import { type Pair, Pairs, type Sorted, sorted, type Waiting } from "./pairs";
import { entriesOf } from "./unzip";

const MOST_FILES = 20;
const MOST_BYTES = 12 << 20;

export interface Refused {
  readonly name: string;
  readonly reason: string;
}

/** Where files go, and how label maps are read: words of the API, none for class ids. */
export interface Target {
  readonly split: string;
  readonly reading: string;
}

export class Upload {
  readonly total = signal(0);
  readonly sent = signal(0);
  readonly added = signal(0);
  /** Regions that label maps of images in the pool have labelled. */
  readonly labelled = signal(0);
  readonly refused = signal<readonly Refused[]>([]);
  /** Of splits that come labelled. */
  readonly pairs = new Pairs();

  constructor(private readonly project: number) {}

  /** Take images or label maps, and both out of zip archives. Images of the pool go at once, others with their label maps. */
  async take(files: readonly File[], kind: keyof Sorted, target: Target): Promise<void> {
    const found = await this.unpacked(files, kind);
    if (target.split !== "pool") {
      await this.sendPairs(this.pairs.match(found), target);
      return;
    }
    await this.sendPairs(found.images.map(alone), target);
    await this.inBatches(found.labels, [nameOf, sizeOf], (batch) => this.sendLabels(batch, target));
  }

  /** Send the images that have found no label map. */
  async sendWithout(target: Target): Promise<void> {
    await this.sendPairs(this.pairs.without(), target);
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
      } catch (error) {
        this.refuse(file.name, error);
      }
    }
    return found;
  }

  private async sendPairs(pairs: readonly Pair[], target: Target): Promise<void> {
    const size = ({ image, label }: Pair) => image.size + (label?.size ?? 0);
    await this.inBatches(pairs, [({ image }) => image.name, size], (batch) => this.sendImages(batch, target));
  }

  private async inBatches<T>(
    all: readonly T[],
    [name, size]: readonly [(one: T) => string, (one: T) => number],
    send: (batch: readonly T[]) => Promise<void>,
  ): Promise<void> {
    this.total.value += all.length;
    for (let at = 0; at < all.length;) {
      const batch = batchFrom(all, at, size);
      await this.attempt(batch, name, send);
      at += batch.length;
    }
  }

  /** The service takes all of a request or nothing: where it refuses, each one is sent by itself. */
  private async attempt<T>(
    batch: readonly T[],
    name: (one: T) => string,
    send: (batch: readonly T[]) => Promise<void>,
  ): Promise<void> {
    try {
      await send(batch);
    } catch (error) {
      if (batch.length > 1) {
        for (const one of batch) await this.attempt([one], name, send);
        return;
      }
      this.refuse(name(batch[0]!), error);
    }
    this.sent.value += batch.length;
  }

  private async sendImages(batch: readonly Pair[], { split, reading }: Target): Promise<void> {
    const form = new FormData();
    form.append("split", split);
    form.append("label_reading", reading);
    for (const { image, label } of batch) {
      form.append("image", await image.read(), image.name);
      if (label !== null) form.append("label_map", await label.read(), label.name);
    }
    const answer = await this.post<Schemas["ImagesAdded"]>("images", form);
    this.added.value += answer.items.filter((item) => item.status === "created").length;
  }

  /** Of images that the pool has already: regions that are labelled as a whole need nobody any more. */
  private async sendLabels(batch: readonly Waiting[], { reading }: Target): Promise<void> {
    const form = new FormData();
    form.append("label_reading", reading);
    for (const label of batch) form.append("label_map", await label.read(), label.name);
    const answer = await this.post<Schemas["LabelsImported"]>("label-maps", form);
    this.labelled.value += answer.items.reduce((all, { regions }) => all + regions.length, 0);
  }

  private async post<T>(path: string, form: FormData): Promise<T> {
    const response = await fetch(apiUrl(`/projects/${this.project}/${path}`), {
      method: "POST",
      headers: { "X-Requested-With": "regionwise" },
      body: form,
    });
    const answer: unknown = await response.json();
    if (!response.ok) throw new Error((answer as Schemas["ErrorResponse"]).error.message);
    return answer as T;
  }

  private refuse(name: string, error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    const reason = text.startsWith(`${name}: `) ? text.slice(name.length + 2) : text;
    this.refused.value = [...this.refused.value, { name, reason }];
  }
}

const nameOf = (file: Waiting) => file.name;
const sizeOf = (file: Waiting) => file.size;
const alone = (image: Waiting): Pair => ({ image, label: null });

function batchFrom<T>(all: readonly T[], start: number, size: (one: T) => number): T[] {
  const batch: T[] = [];
  let bytes = 0;
  for (const each of all.slice(start, start + MOST_FILES)) {
    if (batch.length > 0 && bytes + size(each) > MOST_BYTES) break;
    batch.push(each);
    bytes += size(each);
  }
  return batch;
}
