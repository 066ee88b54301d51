/** The classes of a new project: a known list, or one's own. */

import type { Signal } from "@preact/signals";

export interface OwnClass {
  readonly name: string;
  readonly color: string;
}

/** Colours that are told apart, for the first classes (Okabe and Ito, Color Universal Design). */
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#7f7f7f"];

export const FIRST: readonly OwnClass[] = [
  { name: "Background", color: "#7f7f7f" },
  { name: "Object", color: "#e69f00" },
];

export function ClassList({ of }: { of: Signal<readonly OwnClass[]> }) {
  const change = (at: number, to: Partial<OwnClass>) =>
    (of.value = of.value.map((each, place) => (place === at ? { ...each, ...to } : each)));
  return (
    <ul class="own-classes">
      {of.value.map((each, at) => (
        <li key={at}>
          <input
            type="color"
            aria-label={`Colour of class ${at}`}
            value={each.color}
            onInput={(event) => change(at, { color: event.currentTarget.value })}
          />
          <input
            aria-label={`Name of class ${at}`}
            required
            maxLength={100}
            value={each.name}
            onInput={(event) => change(at, { name: event.currentTarget.value })}
          />
          <button
            type="button"
            aria-label={`Remove ${each.name}`}
            disabled={of.value.length <= 2}
            onClick={() => (of.value = of.value.filter((_, place) => place !== at))}
          >
            ×
          </button>
        </li>
      ))}
      <li>
        <button
          type="button"
          disabled={of.value.length >= 255}
          onClick={() =>
            (of.value = [
              ...of.value,
              { name: `Class ${of.value.length}`, color: COLOURS[of.value.length % COLOURS.length]! },
            ])
          }
        >
          Add a class
        </button>
      </li>
    </ul>
  );
}

/** As the API takes them. Throws where one has no name. */
export function classesOf(own: readonly OwnClass[]): { classes: object[]; ignore_id: number } {
  const nameless = own.findIndex(({ name }) => name.trim() === "");
  if (nameless >= 0) throw new Error(`Class ${nameless} has no name.`);
  const classes = own.map(({ name, color }, id) => ({
    id,
    name: name.trim(),
    color: [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16)),
  }));
  return { classes, ignore_id: 255 };
}
