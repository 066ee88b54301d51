import { expect, test } from "vitest";
import { Pairs, sorted, type Waiting } from "../src/setup/pairs";

const file = (name: string): Waiting => ({ name, size: 1, read: async () => new Blob() });
const names = (files: readonly Waiting[]) => files.map((each) => each.name);

test("an archive's folders tell images from label maps, and are in no name", () => {
  const all = ["set/images/a.jpg", "set/labels/a.png", "set/images/far/b.png", "set/labels/far/b.npy", "set/notes.txt"];
  const { images, labels } = sorted(all.map(file));
  expect(names(images)).toEqual(["set/a.jpg", "set/far/b.png"]);
  expect(names(labels)).toEqual(["set/a.png", "set/far/b.npy"]);
});

test("an archive of images alone keeps their folders", () => {
  const { images, labels } = sorted(["images/a.png", "labelled/b.png"].map(file));
  expect(names(images)).toEqual(["images/a.png", "labelled/b.png"]);
  expect(labels).toEqual([]);
});

test("images and label maps wait for each other, whichever comes first", () => {
  const pairs = new Pairs();
  expect(pairs.match({ images: [file("a.jpg"), file("b.jpg")], labels: [] }).pairs).toEqual([]);
  const found = pairs.match({ images: [], labels: [file("b.png"), file("c.png")] }).pairs;
  expect(found.map(({ image, label }) => [image.name, label?.name])).toEqual([["b.jpg", "b.png"]]);
  expect(names(pairs.images.value)).toEqual(["a.jpg"]);
  expect(names(pairs.labels.value)).toEqual(["c.png"]);
  expect(pairs.without().map(({ image, label }) => [image.name, label])).toEqual([["a.jpg", null]]);
  expect(pairs.images.value).toEqual([]);
});

test("of two label maps of an image the second is named, and the first stays", () => {
  const pairs = new Pairs();
  expect(pairs.match({ images: [], labels: [file("a.png"), file("a.npy")] })).toEqual({
    pairs: [],
    doubled: [{ name: "a.npy", other: "a.png" }],
  });
  const { pairs: found } = pairs.match({ images: [file("a.jpg")], labels: [] });
  expect(found.map(({ label }) => label?.name)).toEqual(["a.png"]);
});

test("a file that comes again while it waits takes the place of the first", () => {
  const pairs = new Pairs();
  const again = { ...file("a.png"), size: 2 };
  pairs.match({ images: [file("b.jpg")], labels: [file("a.png")] });
  expect(pairs.match({ images: [file("b.jpg")], labels: [again] }).doubled).toEqual([]);
  expect(names(pairs.images.value)).toEqual(["b.jpg"]);
  expect(pairs.labels.value).toEqual([again]);
});
