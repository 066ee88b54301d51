/** A project's name and settings, for its admins: all that may change, and what was fixed when it was made. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { Schemas } from "../api/client";
import { holdPage } from "../routes";
import { Dialog } from "../ui/dialog";
import { type Change, type Edits, editsOf } from "./edits";
import { type Group, type Settings, valuesOf } from "./fields";
import { GROUPS } from "./groups";
import { Setting } from "./setting";
import "./settings.css";
import "./setup.css";

interface ProjectSettingsProps {
  readonly project: Schemas["ProjectDetail"];
  readonly annotator: number;
}

export function ProjectSettings({ project, annotator }: ProjectSettingsProps) {
  const edits = useMemo(() => editsOf(annotator, project), [annotator, project.id]);
  const leave = useSignal<(() => void) | null>(null);
  const unsaved = edits.changes.value.length > 0;
  useEffect(() => void (edits.held.value = valuesOf(project)), [project]); // somebody else may have changed them
  useEffect(() => (unsaved ? holdPage((go) => (leave.value = go)) : undefined), [unsaved]);
  return (
    <main class="setup settings">
      <h1>Settings</h1>
      <p class="hint">
        {project.name}. Changes count for what is asked for, given out and learned from here on; what is labelled stays.
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void edits.save();
        }}
        onInvalidCapture={(event) => unfold(event.target)}
      >
        {GROUPS.map((group) => (
          <GroupOf key={group.says} group={group} edits={edits} />
        ))}
        <Fixed project={project} />
        <Bar edits={edits} />
      </form>
      {leave.value !== null && (
        <Leave
          stay={() => (leave.value = null)}
          go={() => {
            const go = leave.value!;
            leave.value = null;
            edits.undo();
            go();
          }}
        />
      )}
    </main>
  );
}

function GroupOf({ group, edits }: { group: Group; edits: Edits }) {
  const changed = group.fields.some((field) => edits.changes.value.some((each) => each.field === field));
  const opened = useMemo(() => changed, []);
  const fields = (
    <>
      {group.hint !== undefined && <p class="hint">{group.hint}</p>}
      <div class="fields">
        {group.fields.map((field) => (
          <Setting key={field.name} field={field} edits={edits} />
        ))}
      </div>
    </>
  );
  if (!group.folded) {
    return (
      <section>
        <h2>{group.says}</h2>
        {fields}
      </section>
    );
  }
  return (
    <details open={opened}>
      <summary>
        <h2>{group.says}</h2>
        {changed && <span class="was"> changed</span>}
      </summary>
      {fields}
    </details>
  );
}

/** What would be sent, what came of it, and the way back. */
function Bar({ edits }: { edits: Edits }) {
  const changes = edits.changes.value;
  return (
    <div class="bar">
      {edits.refused.value !== null && (
        <p class="warning" role="alert">
          Nothing was saved: {edits.refused.value}
        </p>
      )}
      <div class="what">
        <p>
          {changes.length > 0
            ? `Not saved: ${changes.map(inWords).join("; ")}.`
            : edits.saved.value === null && "Nothing is changed."}
        </p>
        <p role="status">{changes.length === 0 && edits.saved.value}</p>
      </div>
      <div class="row">
        <button type="submit" class="main" disabled={changes.length === 0 || edits.busy.value}>
          Save
        </button>
        <button type="button" disabled={changes.length === 0 || edits.busy.value} onClick={() => edits.undo()}>
          Undo changes
        </button>
      </div>
    </div>
  );
}

function inWords({ field: { says }, from, to }: Change): string {
  return from === to ? `${says} stays ${to}` : `${says}: ${from} → ${to}`;
}

function Fixed({ project: { settings, images } }: { project: Schemas["ProjectDetail"] }) {
  return (
    <details>
      <summary>
        <h2>Fixed when the project was made</h2>
      </summary>
      <p class="hint">Regions and networks are of these sizes: another project may have others.</p>
      <dl class="fixed">
        {fixed(settings, Object.keys(images).length > 0).map(([says, value]) => (
          <div key={says}>
            <dt>{says}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

function fixed(settings: Settings, hasImages: boolean): [string, string][] {
  const cell = `${settings.cell_height} × ${settings.cell_width} pixels`;
  return [
    ["Size of a region, height by width", hasImages ? cell : `${cell}, unless the first images are to choose it`],
    ["Divided into quarters", settings.levels === 1 ? "never" : `up to ${counted(settings.levels - 1)}, where it pays`],
    ["Seed of everything random", String(settings.seed)],
    ["Channels of the segmenter", String(settings.width)],
    ["Dropout before the classifier", String(settings.dropout)],
    ["Training crop, height by width", `${settings.crop_height} × ${settings.crop_width} pixels`],
    ["Crops in a training step", String(settings.train_batch)],
  ];
}

function counted(times: number): string {
  return times === 1 ? "once" : times === 2 ? "twice" : `${times} times`;
}

function Leave({ stay, go }: { stay: () => void; go: () => void }) {
  return (
    <Dialog title="Leave without saving?" close={stay}>
      <p>What you have changed in the settings is not saved yet, and is lost when you leave.</p>
      <p class="row">
        <button type="button" class="main" onClick={stay}>
          Stay here
        </button>
        <button type="button" onClick={go}>
          Leave without saving
        </button>
      </p>
    </Dialog>
  );
}

/** A field that is not right is shown: the browser says what is wrong only where it is seen. */
function unfold(target: EventTarget | null): void {
  const group = target instanceof Element ? target.closest("details") : null;
  if (group !== null) group.open = true;
}
