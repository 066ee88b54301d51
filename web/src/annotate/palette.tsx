/** Classes with their colours, names and keys; what is under the cursor; what has no class yet. */

import type { Signal } from "@preact/signals";
import { counts } from "../mask/label_map";
import type { Bench } from "./bench";
import { keysOf } from "./keys";
import { blinking, place } from "./options";

interface PaletteProps {
  readonly studio: Bench;
  readonly hovered: Signal<number | undefined>;
  readonly changes: Signal<number>;
}

export function Palette({ studio, hovered, changes }: PaletteProps) {
  void changes.value;
  const { task } = studio;
  const { classes, ignore_id } = studio.project;
  const found = task === null ? null : counts(task.map);
  const pixels = task === null ? 1 : task.map.ids.length;
  const left = found?.[ignore_id] ?? 0;
  const under = classes.find((each) => each.id === hovered.value);
  return (
    <section class="palette" aria-label="Classes">
      <p class="hovered" aria-live="off">
        {hovered.value === undefined ? "\u00a0" : `Under the cursor: ${under?.name ?? "no class"}`}
      </p>
      <ul role="listbox" aria-label="Class to paint">
        {classes.map((each, at) => (
          <li key={each.id} role="none">
            <button
              type="button"
              role="option"
              aria-selected={place.value === at}
              class={hovered.value === each.id ? "under" : ""}
              onClick={() => (place.value = at)}
            >
              <span class="swatch" style={{ backgroundColor: `rgb(${each.color.join(" ")})` }} />
              <span class="name">{each.name}</span>
              <span class="share">
                {found === null || found[each.id] === 0 ? "" : percent(found[each.id]! / pixels)}
              </span>
              <kbd>{keyOf(at)}</kbd>
            </button>
          </li>
        ))}
      </ul>
      <p class="left">
        <span>
          {found === null
            ? ""
            : left === 0
              ? "Every pixel has a class."
              : `${left.toLocaleString()} px without a class`}
        </span>
        {left > 0 && (
          <>
            <button type="button" aria-pressed={blinking.value} onClick={() => (blinking.value = !blinking.value)}>
              Show <kbd>{keysOf("blink")[0]}</kbd>
            </button>
            <button type="button" onClick={() => studio.editor?.fillRest(studio.ownClass)}>
              Rest is {classes[place.value]?.name} <kbd>{keysOf("rest")[0]}</kbd>
            </button>
          </>
        )}
      </p>
    </section>
  );
}

function keyOf(at: number): string {
  if (at < 9) return String(at + 1);
  return at < 18 ? `⇧${at - 8}` : "";
}

function percent(share: number): string {
  return share < 0.01 ? "<1 %" : `${Math.round(100 * share)} %`;
}
