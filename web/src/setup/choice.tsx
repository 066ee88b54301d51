/** One of a few words, each with what it says. */

import type { Signal } from "@preact/signals";

interface ChoiceProps {
  readonly says: string;
  readonly choices: readonly (readonly [string, string])[];
  readonly of: Signal<string>;
}

export function Choice({ says, choices, of }: ChoiceProps) {
  return (
    <label>
      {says}
      <select value={of.value} onChange={(event) => (of.value = event.currentTarget.value)}>
        {choices.map(([word, means]) => (
          <option key={word} value={word}>
            {means}
          </option>
        ))}
      </select>
    </label>
  );
}
