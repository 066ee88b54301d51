/** The regions of a project, to look through. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { ask, type Schemas } from "../api/client";
import { addressOf, replaceQuery, route } from "../routes";
import { useKeys } from "../ui/keys";
import { Card, type Layer, LAYERS } from "./card";
import { Filters } from "./filters";
import "./gallery.css";
import { Listing, SOUGHT, unreadable } from "./listing";
import { useLive } from "./live";

const BEGUN_FOR_VIEW = "600px";

export function Gallery({ project }: { project: Schemas["ProjectDetail"] }) {
  const { query, region: opened } = route.value;
  const given = new URLSearchParams(query);
  const layer = LAYERS.find((each) => each === given.get("show")) ?? "label";
  const listing = useMemo(() => new Listing(project.id), [project.id]);
  const people = useSignal<readonly Schemas["MemberOut"][]>([]);
  const grid = useRef<HTMLUListElement>(null);
  const colours = useMemo(() => new Map(project.classes.map((each) => [each.id, each.color])), [project]);
  const sought = SOUGHT.map((name) => given.get(name)).join("/");

  const odd = unreadable(given);

  const set = (changes: Record<string, string>) => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) {
      if (value === "") next.delete(name);
      else next.set(name, value);
    }
    replaceQuery(next.toString());
  };
  const show = (next: Layer) => set({ show: next === "label" ? "" : next });

  useEffect(() => void listing.begin(query), [listing, sought]);
  useEffect(() => {
    const path = `/projects/${project.id}/members?limit=500`;
    ask<{ items: Schemas["MemberOut"][] }>("GET", path).then(
      (page) => (people.value = page.items),
      () => undefined, // one can look without their names
    );
  }, [project.id]);
  useEffect(() => {
    if (opened === 0) return;
    return () => {
      void listing.renew(new Set([opened])).catch(() => undefined);
      grid.current?.querySelector<HTMLElement>(`[data-region="${opened}"]`)?.focus({ preventScroll: true });
    };
  }, [opened]);
  useLive(project.id, ["regions"], () => listing.renew(inSight(grid.current)));
  useKeys((event) => {
    if (opened > 0 || event.ctrlKey || event.altKey || event.metaKey || isTyping(event.target)) return;
    const place = Number(event.key) - 1;
    if (event.key === "v") show(LAYERS[(LAYERS.indexOf(layer) + 1) % LAYERS.length]!);
    else if (LAYERS[place] !== undefined) show(LAYERS[place]);
    else if (!event.key.startsWith("Arrow") || !turn(grid.current!, event.key)) return;
    event.preventDefault();
  });

  const items = listing.items.value;
  const address = (region: number) => addressOf("regions", project.id, region, query);
  return (
    <main class="gallery">
      <h1 class="unseen">Regions</h1>
      <Filters project={project} people={people.value} given={given} set={set} layer={layer} show={show} />
      {odd.length > 0 && (
        <p class="warning" role="alert">
          This address asks for what nobody understands, and all is shown instead: {odd.join(", ")}.
        </p>
      )}
      {listing.trouble.value !== null && (
        <p class="warning" role="alert">
          {listing.trouble.value}{" "}
          <button type="button" onClick={() => void listing.more()}>
            Try again
          </button>
        </p>
      )}
      <ul class="regions" ref={grid} aria-label="Regions">
        {items.map((each) => (
          <Card key={each.id} region={each} layer={layer} colours={colours} project={project} href={address(each.id)} />
        ))}
      </ul>
      <p class="hint end" role="status">
        {listing.loading.value
          ? "Looking for regions…"
          : items.length === 0 && listing.complete.value
            ? SOUGHT.some((name) => name !== "order" && given.has(name))
              ? "There is no such region."
              : "No region has been asked for yet."
            : listing.complete.value
              ? `${items.length.toLocaleString()} ${items.length === 1 ? "region" : "regions"}.`
              : ""}
      </p>
      {!listing.complete.value && !listing.loading.value && listing.trouble.value === null && (
        <More key={listing.parts.value.length} reached={() => void listing.more()} />
      )}
    </main>
  );
}

/** The regions whose cards are in the window. */
function inSight(grid: HTMLElement | null): Set<number> {
  const cards = [...(grid?.querySelectorAll<HTMLElement>("[data-region]") ?? [])].filter((card) => {
    const { top, bottom } = card.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  });
  return new Set(cards.map((card) => Number(card.dataset["region"])));
}

/** Asks for more once it comes into sight. */
function More({ reached }: { reached: () => void }) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const looking = new IntersectionObserver(([entry]) => entry?.isIntersecting && reached(), {
      rootMargin: BEGUN_FOR_VIEW,
    });
    looking.observe(element.current!);
    return () => looking.disconnect();
  }, []);
  return <div ref={element} class="more" />;
}

/** Move the focus among the cards; false where there is no card that way. */
function turn(grid: HTMLElement, key: string): boolean {
  const cards = [...grid.querySelectorAll<HTMLElement>("[data-region]")];
  const at = cards.indexOf(document.activeElement as HTMLElement);
  if (at < 0) {
    cards[0]?.focus();
    return cards.length > 0;
  }
  const columns = cards.filter((each) => each.offsetTop === cards[0]!.offsetTop).length;
  const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  const next = cards[at + (steps[key] ?? 0)];
  next?.focus();
  return next !== undefined;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input, select, dialog") !== null;
}
