/** How the region is shown. */

import type { Signal } from "@preact/signals";
import { contours, contrast, gamma, opacity, patterns } from "./options";

export function Display() {
  return (
    <details>
      <summary>Display</summary>
      <Slider says="Opacity" of={opacity} min={0.1} max={1} />
      <Slider says="Contrast" of={contrast} min={0.5} max={3} />
      <Slider says="Gamma" of={gamma} min={0.3} max={3} />
      <Tick says="Contours only" of={contours} />
      <Tick says="Patterns on classes" of={patterns} />
    </details>
  );
}

/** The filter that the stage draws the image through. */
export function GammaFilter() {
  return (
    <svg class="filters" aria-hidden="true">
      <filter id="gamma">
        <feComponentTransfer>
          <feFuncR type="gamma" exponent={1 / gamma.value} />
          <feFuncG type="gamma" exponent={1 / gamma.value} />
          <feFuncB type="gamma" exponent={1 / gamma.value} />
        </feComponentTransfer>
      </filter>
    </svg>
  );
}

function Slider({ says, of, min, max }: { says: string; of: Signal<number>; min: number; max: number }) {
  return (
    <label class="slider">
      {says}
      <input
        type="range"
        min={min}
        max={max}
        step="0.05"
        value={of.value}
        onInput={(event) => (of.value = Number(event.currentTarget.value))}
      />
    </label>
  );
}

function Tick({ says, of }: { says: string; of: Signal<boolean> }) {
  return (
    <label>
      <input type="checkbox" checked={of.value} onChange={() => (of.value = !of.value)} /> {says}
    </label>
  );
}
