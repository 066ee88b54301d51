/** Images and label maps that wait for each other: a label map is called as its image, but for the suffix. */

import { signal } from "@preact/signals";

/** A file that is read once it is sent. */
export interface Waiting {
  readonly name: string;
  readonly size: number;
  read(): Promise<Blob>;
}

export interface Pair {
  readonly image: Waiting;
  readonly label: Waiting | null;
}

/** What has found each other, and label maps of images that have another one. */
export interface Matched {
  readonly pairs: Pair[];
  readonly doubled: { readonly name: string; readonly other: string }[];
}

export interface Sorted {
  readonly images: Waiting[];
  readonly labels: Waiting[];
}

const IMAGES = /\.(png|jpe?g|webp|tiff?|bmp)$/i;
const LABELS = /\.(png|tiff?|bmp|npy)$/i;
const OF_LABELS = /(^|\/)labels\//;
const OF_EITHER = /(^|\/)(images|labels)\//;

/** The files of an archive: in folders called `labels` are label maps; the folders that tell them apart are in no name. */
export function sorted(files: readonly Waiting[]): Sorted {
  const labels = files.filter(({ name }) => OF_LABELS.test(name) && LABELS.test(name));
  const images = files.filter(({ name }) => !OF_LABELS.test(name) && IMAGES.test(name));
  if (labels.length === 0) return { images, labels };
  return { images: images.map(bare), labels: labels.map(bare) };
}

function bare(file: Waiting): Waiting {
  return { ...file, name: file.name.replace(OF_EITHER, "$1") };
}

export class Pairs {
  readonly images = signal<readonly Waiting[]>([]);
  readonly labels = signal<readonly Waiting[]>([]);

  /** Take files in, and give out those that have found each other. A file that comes again takes the place of the first. */
  match({ images, labels }: Sorted): Matched {
    const waiting = new Map(this.labels.value.map((each) => [stemOf(each.name), each]));
    const doubled: Matched["doubled"] = [];
    for (const label of labels) {
      const other = waiting.get(stemOf(label.name))?.name ?? label.name;
      if (other === label.name) waiting.set(stemOf(label.name), label);
      else doubled.push({ name: label.name, other });
    }
    const pairs: Pair[] = [];
    const alone: Waiting[] = [];
    for (const image of new Map([...this.images.value, ...images].map((each) => [each.name, each])).values()) {
      const stem = stemOf(image.name);
      const label = waiting.get(stem);
      if (label === undefined) alone.push(image);
      else pairs.push({ image, label });
      waiting.delete(stem);
    }
    this.images.value = alone;
    this.labels.value = [...waiting.values()];
    return { pairs, doubled };
  }

  /** The images that have no label map, as they are. */
  without(): Pair[] {
    const found = this.images.value.map((image) => ({ image, label: null }));
    this.images.value = [];
    return found;
  }
}

function stemOf(name: string): string {
  return name.replace(/\.[^./]+$/, "");
}
