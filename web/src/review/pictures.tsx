/** The image of a region that waits, what the network says, and the labels side by side. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { Schemas } from "../api/client";
import { differing, share } from "../mask/differences";
import { Overlay } from "../ui/overlay";
import { mapAt, type MapAt } from "../ui/pixels";
import { predictionOf, type Waiting } from "./queue";

/** Pixels of the window's height that are not the pictures'. */
const OTHERWISE = 260;

interface PicturesProps {
  readonly region: Waiting;
  readonly classes: Schemas["ProjectDetail"]["classes"];
  readonly opacity: number;
  readonly marked: boolean;
  readonly chosen: number;
  readonly choose: (place: number) => void;
  /** A label is on the screen. */
  readonly seen: (label: number) => void;
}

export function Pictures({ region, classes, opacity, marked, chosen, choose, seen }: PicturesProps) {
  const { labels, width, height } = region;
  const predicted = predictionOf(region);
  const maps: MapAt[] = labels.map((each) => ({ path: each.mask_url, of: each.id }));
  const { parts, ids } = useHeld(maps);
  const colours = useMemo(() => new Map(classes.map((each) => [each.id, each.color])), [classes]);
  const window = useWindow();
  const columns = columnsOf(1 + labels.length + (predicted === null ? 0 : 1), width / height, window);
  const shared = { crop: region.crop_url, width, height, colours, opacity };
  const others = (own: MapAt) => {
    const found = maps.filter((each) => each !== own);
    return found.length > 0 || predicted === null ? found : [predicted];
  };
  return (
    <>
      <div class="pictures-of" style={{ gridTemplateColumns: `repeat(${columns}, 1fr)` }}>
        <figure>
          <Overlay {...shared} title="Image" mask={null} />
          <figcaption>Image</figcaption>
        </figure>
        {predicted !== null && (
          <figure>
            <Overlay {...shared} title="Prediction" mask={predicted} against={marked ? maps : undefined} />
            <figcaption>Prediction</figcaption>
          </figure>
        )}
        {labels.map((label, place) => (
          <figure key={label.id} class={chosen === place ? "chosen" : ""}>
            <Overlay
              {...shared}
              title={`Label ${place + 1}`}
              mask={maps[place]!}
              against={marked ? others(maps[place]!) : undefined}
              drawn={() => seen(label.id)}
            />
            <button
              type="button"
              class="cover"
              aria-label={`Choose label ${place + 1}`}
              aria-pressed={chosen === place}
              onClick={() => choose(place)}
            />
            <figcaption>
              <kbd>{place + 1}</kbd> {label.annotator_name}, {label.kind}
              {label.seconds !== null && ` in ${Math.round(label.seconds)} s`}
              {parts[place] !== undefined && <span class="hint"> · {percent(parts[place])} differs</span>}
            </figcaption>
          </figure>
        ))}
      </div>
      <ul class="legend" aria-label="Classes of these labels">
        {classes
          .filter((each) => ids.has(each.id))
          .map((each) => (
            <li key={each.id}>
              <span class="swatch" style={{ backgroundColor: `rgb(${each.color.join(" ")})` }} /> {each.name}
            </li>
          ))}
      </ul>
    </>
  );
}

/** Width over height of what the pictures have of the window. */
function useWindow(): number {
  const ratio = useSignal(shapeOfWindow());
  useEffect(() => {
    const resized = () => (ratio.value = shapeOfWindow());
    addEventListener("resize", resized);
    return () => removeEventListener("resize", resized);
  }, []);
  return ratio.value;
}

function shapeOfWindow(): number {
  return innerWidth / Math.max(1, innerHeight - OTHERWISE);
}

/** In how many columns so many pictures of one shape are largest. */
function columnsOf(count: number, shape: number, window: number): number {
  const size = (columns: number) => Math.min(window / (columns * shape), 1 / Math.ceil(count / columns));
  const choices = Array.from({ length: count }, (_, place) => place + 1);
  return choices.reduce((best, each) => (size(each) > size(best) ? each : best));
}

interface Held {
  /** Of each label the share of pixels that another one gives another class; none where there is just one. */
  readonly parts: readonly number[];
  /** The classes of all of them. */
  readonly ids: ReadonlySet<number>;
}

const NOTHING: Held = { parts: [], ids: new Set() };

/** What is in the label maps of a region. */
function useHeld(maps: readonly MapAt[]): Held {
  const held = useSignal(NOTHING);
  useEffect(() => {
    let stale = false;
    held.value = NOTHING;
    Promise.all(maps.map(mapAt)).then(
      (found) => {
        if (stale) return;
        const parts = found.length < 2 ? [] : found.map((map) => share(differing(map, found)));
        held.value = { parts, ids: new Set(found.flatMap((map) => [...new Set(map.ids)])) };
      },
      () => undefined,
    );
    return () => (stale = true);
  }, [JSON.stringify(maps)]);
  return held.value;
}

function percent(part: number): string {
  return part > 0 && part < 0.01 ? "<1 %" : `${Math.round(100 * part)} %`;
}
