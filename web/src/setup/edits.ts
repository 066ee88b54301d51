/** What somebody has changed of a project and its settings and not saved yet: it alone is sent. */

import { batch, computed, signal, type Signal } from "@preact/signals";
import { ApiError, ask, type Schemas } from "../api/client";
import { once } from "../ui/once";
import { type Field, type Name, patchOf, textOf, valueOf, type Values, valuesOf, wordsOf } from "./fields";
import { FIELDS } from "./groups";

interface Typed {
  readonly text: string;
  /** What stood there before, as text. */
  readonly before: string;
}

export interface Change {
  readonly field: Field;
  readonly from: string;
  readonly to: string;
  /** Whether somebody else has changed it since it was typed. */
  readonly overtaken: boolean;
}

/** What the service chooses anew, unless it is sent, where one of these is another. */
const FOLLOWS: Partial<Record<Name, readonly Name[]>> = {
  encoder: ["segmenter"],
  learning: ["segmenter", "encoder"],
};

export class Edits {
  /** Why it was not saved the last time. */
  readonly refused = signal<string | null>(null);
  /** What was saved last. */
  readonly saved = signal<string | null>(null);
  readonly busy = signal(false);
  /** As the service has them. */
  readonly held: Signal<Values>;
  private readonly typed = signal<ReadonlyMap<Name, Typed>>(new Map());

  readonly changes = computed<readonly Change[]>(() =>
    [...FIELDS.values()].flatMap((field) => {
      const typed = this.typed.value.get(field.name);
      if (typed === undefined || isSame(field.name, typed.text, this.before(field.name))) return [];
      const from = this.heldText(field.name);
      const [was, to] = [wordsOf(field, from), wordsOf(field, typed.text)];
      return [{ field, from: was, to, overtaken: typed.before !== from }];
    }),
  );

  constructor(
    private readonly project: number,
    held: Values,
  ) {
    this.held = signal(held);
  }

  /** What stands in a field; nothing where it follows another one that is changed. */
  text(name: Name): string {
    return this.typed.value.get(name)?.text ?? this.before(name);
  }

  /** Whether the service chooses it anew, by another setting that is changed. */
  follows(name: Name): boolean {
    return (FOLLOWS[name] ?? []).some((other) => {
      const typed = this.typed.value.get(other);
      return typed !== undefined && typed.text !== "" && !isSame(other, typed.text, this.heldText(other));
    });
  }

  /** Type something into a field. */
  type(name: Name, text: string): void {
    const typed = new Map(this.typed.value);
    if (text === this.before(name)) typed.delete(name);
    else typed.set(name, { text, before: typed.get(name)?.before ?? this.heldText(name) });
    batch(() => {
      this.typed.value = typed;
      this.saved.value = null;
    });
  }

  /** Forget what was typed. */
  undo(): void {
    batch(() => {
      this.typed.value = new Map();
      this.refused.value = null;
    });
  }

  /** Send what is changed. What is refused is said in `refused`, and stays as it was typed. */
  async save(): Promise<void> {
    await once(this.busy, () => this.send()).catch((error: Error) => (this.refused.value = reason(error)));
  }

  private async send(): Promise<void> {
    const sent = new Map(this.changes.value.map(({ field }) => [field.name, this.text(field.name)]));
    if (sent.size === 0) return;
    this.refused.value = null;
    const values = Object.fromEntries([...sent].map(([name, text]) => [name, valueOf(FIELDS.get(name)!, text)]));
    const followers = (Object.keys(FOLLOWS) as Name[]).filter((name) => this.follows(name) && !sent.has(name));
    const project = await ask<Schemas["ProjectOut"]>("PATCH", `/projects/${this.project}`, {
      body: patchOf(values),
    });
    batch(() => {
      this.held.value = valuesOf(project);
      // What was typed meanwhile is not saved yet.
      const left = [...this.typed.value].filter(([name, { text }]) => sent.get(name) !== text);
      this.typed.value = new Map(
        left.map(([name, typed]) => [name, sent.has(name) ? { ...typed, before: this.heldText(name) } : typed]),
      );
      this.saved.value = ["Saved.", ...followers.map((name) => this.became(name))].join(" ");
    });
  }

  private became(name: Name): string {
    const field = FIELDS.get(name)!;
    return `${field.says} is ${wordsOf(field, this.heldText(name))}.`;
  }

  private before(name: Name): string {
    return this.follows(name) ? "" : this.heldText(name);
  }

  private heldText(name: Name): string {
    return textOf(FIELDS.get(name)!, this.held.value[name]);
  }
}

/** Why it was refused, with fields called as they are here. */
function reason(error: Error): string {
  const errors = error instanceof ApiError ? error.detail["errors"] : undefined;
  if (!Array.isArray(errors)) return error.message;
  return (errors as { at: string; message: string }[])
    .map(({ at, message }) => {
      const field = FIELDS.get(at.replace(/^body\.(settings\.)?/, "") as Name);
      return field === undefined ? message : `${field.says}: ${message.replace(/\.?$/, ".")}`;
    })
    .join(" ");
}

/** Whether two texts say the same: 24 and 24.0 do. */
function isSame(name: Name, one: string, other: string): boolean {
  const field = FIELDS.get(name)!;
  return valueOf(field, one) === valueOf(field, other);
}

const all = new Map<string, Edits>();

/** Somebody's changes of a project's settings, which are there again after a login. */
export function editsOf(annotator: number, project: Schemas["ProjectDetail"]): Edits {
  const key = `${annotator}/${project.id}`;
  const found = all.get(key) ?? new Edits(project.id, valuesOf(project));
  all.set(key, found);
  return found;
}

addEventListener("beforeunload", (event) => {
  if ([...all.values()].some((each) => each.changes.value.length > 0)) event.preventDefault();
});
