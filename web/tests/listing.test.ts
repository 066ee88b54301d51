import { beforeEach, expect, test } from "vitest";
import { answer } from "./browser";
import { Listing, unreadable } from "../src/watch/listing";

const PAGE = 48;
let ids: number[];
let asked: string[];
let listing: Listing;

/** Regions by falling number, after one of them. */
beforeEach(() => {
  ids = Array.from({ length: 120 }, (_, at) => 120 - at);
  asked = [];
  answer((_, path) => {
    const query = new URL(path, "http://service").searchParams;
    asked.push(query.toString());
    const after = Number(query.get("after"));
    const left = after === 0 ? ids : ids.filter((each) => each < after);
    const items = left.slice(0, PAGE).map((id) => ({ id }));
    return { items, next: left.length > PAGE ? items.at(-1)!.id : null };
  });
  listing = new Listing(1);
});

const shown = () => listing.items.value.map((each) => each.id);

test("where new regions came before those that are seen none is left out and none shown twice", async () => {
  await listing.begin("");
  await listing.more();
  ids = [123, 122, 121, ...ids];
  await listing.renew(new Set([120, 70]));
  expect(shown()).toEqual(ids.slice(0, 96));
  await listing.more();
  expect(shown()).toEqual(ids);
});

test("pages that nobody looks at are not asked for, and come anew once they are scrolled to", async () => {
  await listing.begin("");
  await listing.more();
  await listing.more();
  asked = [];
  await listing.renew(new Set([70]));
  expect([asked.length, shown()]).toEqual([1, ids]);
  ids = ids.filter((each) => each !== 100);
  await listing.renew(new Set([101]));
  expect(shown()).toEqual(ids.slice(0, 48));
  await listing.more();
  await listing.more();
  expect(shown()).toEqual(ids);
});

test("what an address asks for and nobody understands is left out, and told", async () => {
  const query = "round=abc&state=open&class=-1&share=0.25&order=newest&show=label";
  expect(unreadable(new URLSearchParams(query))).toEqual(["round=abc", "class=-1", "order=newest"]);
  await listing.begin(query);
  expect(asked).toEqual(["state=open&share=0.25&limit=48&after=0"]);
});
