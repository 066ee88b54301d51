/** What is sought among the regions, and how each is drawn; all of it stands in the address. */

import type { ComponentChildren } from "preact";
import type { Schemas } from "../api/client";
import { type Layer, LAYERS } from "./card";

interface FiltersProps {
  readonly project: Schemas["ProjectDetail"];
  readonly people: readonly Schemas["MemberOut"][];
  readonly given: URLSearchParams;
  readonly set: (changes: Record<string, string>) => void;
  readonly layer: Layer;
  readonly show: (layer: Layer) => void;
}

type Choices = readonly (readonly [value: string, says: string])[];

const STATES: Choices = [
  ["open", "Open"],
  ["review", "In review"],
  ["labelled", "Labelled"],
  ["skipped", "Skipped"],
];
const SHARES: Choices = ["0.05", "0.1", "0.25", "0.5", "0.9"].map((part) => [part, `${100 * Number(part)} % at least`]);
const DISAGREEMENTS: Choices = ["0.05", "0.1", "0.2", "0.3", "0.5"].map((part) => [
  part,
  `${100 * Number(part)} % at least`,
]);
const ORDERS: Choices = [
  ["value", "Highest value"],
  ["disagreement", "Least agreement"],
];

export function Filters({ project, people, given, set, layer, show }: FiltersProps) {
  const wanted = [...given.keys()].filter((name) => name !== "show" && name !== "order");
  const pick = (name: string, says: string, any: string, choices: Choices) => (
    <Pick
      says={says}
      any={any}
      choices={choices}
      value={given.get(name) ?? ""}
      set={(value) => set({ [name]: value })}
    />
  );
  const classes: Choices = project.classes.map((each) => [String(each.id), each.name]);
  return (
    <section class="filters-bar" aria-label="What is shown">
      <Field says="Round">
        <input
          type="number"
          aria-label="Round"
          min="1"
          placeholder="all"
          value={given.get("round") ?? ""}
          onInput={(event) => set({ round: event.currentTarget.validity.valid ? event.currentTarget.value : "" })}
        />
      </Field>
      {pick("state", "State", "any", STATES)}
      <Pick
        says="Class"
        any="any"
        choices={classes}
        value={given.get("class") ?? ""}
        set={(value) => set({ class: value, ...(value === "" ? { share: "" } : {}) })}
      />
      {given.has("class") && pick("share", "Its share", "any", SHARES)}
      {pick("annotator", "Annotator", "anybody", namesOf(people))}
      {pick("disagreement", "Disagreement", "any", DISAGREEMENTS)}
      {pick("order", "Order", "Newest first", ORDERS)}
      {wanted.length > 0 && (
        <button type="button" class="clear" onClick={() => set(Object.fromEntries(wanted.map((name) => [name, ""])))}>
          Clear
        </button>
      )}
      <div class="layers" role="group" aria-label="Drawn over the images; v is the next one">
        {LAYERS.map((each, place) => (
          <button type="button" key={each} aria-pressed={layer === each} onClick={() => show(each)}>
            {each} <kbd>{place + 1}</kbd>
          </button>
        ))}
      </div>
    </section>
  );
}

interface PickProps {
  readonly says: string;
  readonly any: string;
  readonly choices: Choices;
  readonly value: string;
  readonly set: (value: string) => void;
}

function Pick({ says, any, choices, value, set }: PickProps) {
  return (
    <Field says={says}>
      <select aria-label={says} value={value} onChange={(event) => set(event.currentTarget.value)}>
        <option value="">{any}</option>
        {choices.map(([each, name]) => (
          <option key={each} value={each}>
            {name}
          </option>
        ))}
      </select>
    </Field>
  );
}

function Field({ says, children }: { says: string; children: ComponentChildren }) {
  return (
    <label>
      <span>{says}</span>
      {children}
    </label>
  );
}

function namesOf(people: FiltersProps["people"]): Choices {
  return people.map((each) => [String(each.annotator_id), each.name]);
}
