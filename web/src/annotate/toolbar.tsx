/** Tools at the left. */

import type { Signal } from "@preact/signals";
import { Icon } from "../ui/icons";
import type { Bench } from "./bench";
import { ACTIONS, keysOf } from "./keys";
import { brush, byContent, LARGEST_BRUSH, level, setSize, tool, type ToolName, turnShape } from "./options";

const TOOLS: readonly ToolName[] = ["brush", "eraser", "polygon", "fill", "replace", "smart", "hand"];

interface ToolbarProps {
  readonly studio: Bench;
  readonly help: () => void;
  readonly changes: Signal<number>;
}

export function Toolbar({ studio, help, changes }: ToolbarProps) {
  void changes.value;
  const history = studio.editor?.task.history;
  return (
    <nav class="toolbar" aria-label="Tools">
      {TOOLS.map((name) => (
        <button
          type="button"
          key={name}
          aria-pressed={tool.value === name}
          title={`${ACTIONS[name].says} (${keysOf(name).join(", ")})`}
          aria-label={ACTIONS[name].says}
          onClick={() => (tool.value = name)}
        >
          <Icon name={name} />
          <kbd>{keysOf(name)[0]}</kbd>
        </button>
      ))}
      <hr />
      <Act name="undo" says="Undo" key_={keysOf("undo")[0]} off={!history?.canUndo} act={() => studio.editor?.undo()} />
      <Act name="redo" says="Redo" key_={keysOf("redo")[0]} off={!history?.canRedo} act={() => studio.editor?.redo()} />
      <Act name="fit" says="Fit the region" key_={keysOf("fit")[0]} act={() => studio.stage?.fit()} />
      <Act name="help" says="Keys" key_={keysOf("help")[0]} act={help} />
      <hr />
      {tool.value === "smart" ? <LevelSlider studio={studio} /> : <BrushSettings />}
    </nav>
  );
}

interface ActProps {
  readonly name: string;
  readonly says: string;
  readonly key_: string | undefined;
  readonly off?: boolean;
  readonly act: () => void;
}

function Act({ name, says, key_, off = false, act }: ActProps) {
  return (
    <button type="button" disabled={off} title={`${says} (${key_})`} aria-label={says} onClick={act}>
      <Icon name={name} />
    </button>
  );
}

function BrushSettings() {
  const { shape, size } = brush.value;
  return (
    <fieldset class="brush">
      <legend>Brush</legend>
      <output>{size} px</output>
      <input
        type="range"
        min="0"
        max="100"
        aria-label="Size of the brush in pixels"
        aria-valuetext={`${size} pixels`}
        value={(100 * Math.log(size)) / Math.log(LARGEST_BRUSH)}
        onInput={(event) => {
          const part = Number(event.currentTarget.value) / 100;
          setSize(Math.round(LARGEST_BRUSH ** part));
        }}
      />
      <button type="button" aria-label={`Shape: ${shape}`} title="Round or square" onClick={turnShape}>
        <span class={`shape ${shape}`} />
      </button>
    </fieldset>
  );
}

function LevelSlider({ studio }: { studio: Bench }) {
  return (
    <fieldset class="brush">
      <legend>Reach</legend>
      <output>{level.value}</output>
      <input
        type="range"
        min="0"
        max="120"
        aria-label="How far smart fill reaches"
        value={level.value}
        onInput={(event) => {
          level.value = Number(event.currentTarget.value);
          studio.editor?.relevel(level.value);
        }}
      />
      {studio.task?.hints?.features && (
        <label title="Also look at what the frozen encoder sees, not only at colours and edges">
          <input type="checkbox" checked={byContent.value} onChange={() => (byContent.value = !byContent.value)} />{" "}
          Content
        </label>
      )}
    </fieldset>
  );
}
