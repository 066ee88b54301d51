/** One setting: its name, what it is typed with, what it means, and what it was. */

import { useId } from "preact/hooks";
import type { Edits } from "./edits";
import type { Field, Line, Numbers, Words } from "./fields";
import { SEGMENTERS } from "./strategies";

interface SettingProps {
  readonly field: Field;
  readonly edits: Edits;
}

interface TypedProps {
  readonly id: string;
  readonly described: string;
  readonly text: string;
  readonly type: (text: string) => void;
}

const OTHER = "smp:";

export function Setting({ field, edits }: SettingProps) {
  const id = useId();
  const { name, says, hint, wide, by } = field;
  const change = edits.changes.value.find((each) => each.field === field);
  const typed = { id, described: `${id}-says`, text: edits.text(name), type: (text: string) => edits.type(name, text) };
  return (
    <div class={["setting", change !== undefined && "changed", wide === true && "wide"].filter(Boolean).join(" ")}>
      {by === "check" ? (
        <label class="check">
          <Check {...typed} /> {says}
        </label>
      ) : (
        <label for={id}>{says}</label>
      )}
      {by === "segmenter" ? (
        <Segmenter {...typed} />
      ) : by === "check" ? null : "choices" in by ? (
        <Chosen {...typed} by={by} follows={edits.follows(name)} />
      ) : "longest" in by ? (
        <Written {...typed} by={by} />
      ) : (
        <Counted {...typed} by={by} />
      )}
      <p class="hint" id={typed.described}>
        {hint}
        {change !== undefined && (
          <span class="was">
            {" "}
            {change.overtaken ? `Somebody else set it to ${change.from} meanwhile.` : `It was: ${change.from}.`}
          </span>
        )}
      </p>
    </div>
  );
}

function Check({ described, text, type }: TypedProps) {
  return (
    <input
      type="checkbox"
      aria-describedby={described}
      checked={text === "true"}
      onChange={(event) => type(String(event.currentTarget.checked))}
    />
  );
}

function Written({ id, described, text, type, by }: TypedProps & { by: Line }) {
  return (
    <input
      id={id}
      aria-describedby={described}
      title={`1 to ${by.longest} characters in one line, not spaces alone`}
      required
      maxLength={by.longest}
      pattern="\s*[^\s\x00-\x1F\x7F][^\x00-\x1F\x7F]*\s*"
      value={text}
      onInput={(event) => type(event.currentTarget.value)}
    />
  );
}

function Counted({ id, described, text, type, by }: TypedProps & { by: Numbers }) {
  return (
    <span class="counted">
      <input
        id={id}
        type="number"
        aria-describedby={described}
        min={by.least}
        max={by.most}
        step={by.step}
        required={by.none === undefined}
        placeholder={by.none}
        value={text}
        onInput={(event) => type(event.currentTarget.value)}
      />
      {by.unit}
    </span>
  );
}

function Chosen({ id, described, text, type, by, follows }: TypedProps & { by: Words; follows: boolean }) {
  return (
    <select id={id} aria-describedby={described} value={text} onChange={(event) => type(event.currentTarget.value)}>
      {follows && <option value="">as suits what you have changed</option>}
      {by.choices.map(([word, means]) => (
        <option key={word} value={word}>
          {means}
        </option>
      ))}
    </select>
  );
}

function Segmenter({ id, described, text, type }: TypedProps) {
  const known = SEGMENTERS.some(([word]) => word === text);
  return (
    <>
      <select
        id={id}
        aria-describedby={described}
        value={known ? text : OTHER}
        onChange={(event) => type(event.currentTarget.value)}
      >
        {SEGMENTERS.map(([word, means]) => (
          <option key={word} value={word}>
            {means}
          </option>
        ))}
        <option value={OTHER}>another one: smp:ARCH:ENCODER</option>
      </select>
      {!known && (
        <input
          aria-label="Name of the segmenter"
          title="smp:, an architecture, a colon and an encoder, as in smp:Unet:resnet18"
          required
          maxLength={100}
          pattern="smp:[A-Za-z0-9_.\-]+:[A-Za-z0-9_.\-]+"
          value={text}
          onInput={(event) => type(event.currentTarget.value)}
        />
      )}
    </>
  );
}
