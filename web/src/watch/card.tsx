/** One region among others: its pixels, and what is known of it. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Schemas } from "../api/client";
import { Overlay, Unfetched } from "../ui/overlay";
import type { MapAt } from "../ui/pixels";
import type { Shown } from "./listing";

export const LAYERS = ["image", "prediction", "label", "differences"] as const;
export type Layer = (typeof LAYERS)[number];

const SEEN_FROM = "200px";
const OPACITY = 0.6;
const STATES: Record<Shown["state"], string> = {
  open: "open",
  review: "in review",
  labelled: "labelled",
  skipped: "skipped",
};

interface CardProps {
  readonly region: Shown;
  readonly layer: Layer;
  readonly colours: ReadonlyMap<number, readonly number[]>;
  readonly project: Schemas["ProjectDetail"];
  readonly href: string;
}

export function Card({ region, layer, colours, project, href }: CardProps) {
  const item = useRef<HTMLLIElement>(null);
  const seen = useSignal(false);
  const again = useSignal<(() => void) | null>(null);
  useEffect(() => {
    const looking = new IntersectionObserver(([entry]) => (seen.value = entry!.isIntersecting), {
      rootMargin: SEEN_FROM,
    });
    looking.observe(item.current!);
    return () => looking.disconnect();
  }, []);
  const { drawn, against, says } = drawnOf(region, layer);
  const { width, height } = region;
  const shape = { aspectRatio: `${width} / ${height}` };
  const name = `${region.image_name} (${region.x}, ${region.y})`;
  return (
    <li ref={item}>
      <a class="region" href={href} data-region={region.id}>
        <span class="picture">
          {seen.value ? (
            <Overlay
              title={`${name}: ${says}`}
              crop={region.crop_url}
              width={width}
              height={height}
              mask={drawn}
              against={against}
              colours={colours}
              opacity={OPACITY}
              failing={(how) => (again.value = how)}
            />
          ) : (
            <span class="overlay" style={shape} />
          )}
          {says !== layer && <span class="says">{says}</span>}
        </span>
        <Shares region={region} project={project} />
        <span class="facts">
          <strong title={name}>{region.image_name}</strong>
          <span class="why" title="Why it was asked for: the strategy of its round, and the value that it gave">
            Round {region.round} · {region.strategy ?? "unknown"} {valued(region.score)}
          </span>
          <span class="who">
            {region.authors.join(", ") || "nobody yet"}
            {region.least_miou !== null && (
              <span title="mIoU of the two labels that agree least"> · {percent(region.least_miou)} agree</span>
            )}
          </span>
          <span class={`state is-${region.state}`}>{STATES[region.state]}</span>
        </span>
      </a>
      {again.value !== null && <Unfetched again={again.value} style={shape} />}
    </li>
  );
}

/** The classes of the label, as a bar. */
function Shares({ region, project }: { region: Shown; project: Schemas["ProjectDetail"] }) {
  const pixels = region.width * region.height;
  const held = project.classes.filter((each) => (region.label?.class_counts[each.name] ?? 0) > 0);
  const share = (name: string) => region.label!.class_counts[name]! / pixels;
  return (
    <span class="shares" aria-hidden="true">
      {held.map((each) => (
        <span
          key={each.id}
          title={`${each.name} ${percent(share(each.name))}`}
          style={{ width: `${100 * share(each.name)}%`, backgroundColor: `rgb(${each.color.join(" ")})` }}
        />
      ))}
    </span>
  );
}

interface Drawn {
  readonly drawn: MapAt | null;
  readonly against: readonly MapAt[] | undefined;
  readonly says: Layer;
}

/** What is drawn where this layer is wanted; where there is none, what comes nearest. */
function drawnOf(region: Shown, layer: Layer): Drawn {
  const { label_url, label, prediction_url, prediction_checkpoint_id } = region;
  const labelled: MapAt | null = label_url === null ? null : { path: label_url, of: label!.id };
  const predicted: MapAt | null =
    prediction_url === null ? null : { path: prediction_url, of: prediction_checkpoint_id };
  const plain = { against: undefined };
  if (layer === "differences" && labelled !== null && predicted !== null) {
    return { drawn: labelled, against: [predicted], says: "differences" };
  }
  if (layer === "label" && labelled !== null) return { drawn: labelled, ...plain, says: "label" };
  if ((layer === "label" || layer === "prediction") && predicted !== null) {
    return { drawn: predicted, ...plain, says: "prediction" };
  }
  return { drawn: null, ...plain, says: "image" };
}

function valued(score: number): string {
  return Math.abs(score) >= 100 ? Math.round(score).toLocaleString() : score.toPrecision(3);
}

function percent(share: number): string {
  return share > 0 && share < 0.01 ? "<1 %" : `${Math.round(100 * share)} %`;
}
