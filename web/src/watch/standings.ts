/** The annotators of a project, and what its admins change about them. */

import { signal } from "@preact/signals";
import { ask, type Schemas } from "../api/client";
import { all } from "../api/lists";
import { renew, roleIn, type Who } from "../api/session";
import { once } from "../ui/once";
import { save } from "../ui/save";

export type Standing = Schemas["AnnotatorStanding"];

export class Standings {
  /** null: not fetched yet. */
  readonly rows = signal<readonly Standing[] | null>(null);
  readonly refused = signal<string | null>(null);
  private readonly path: string;
  private readonly saving = signal(false);
  private readonly members: string;

  constructor(project: number) {
    this.path = `/projects/${project}/annotators`;
    this.members = `/projects/${project}/members`;
  }

  async look(signal?: AbortSignal): Promise<void> {
    this.rows.value = await all<Standing>(this.path, signal);
  }

  /** Pause somebody who works, let go on who is paused. */
  async turn({ annotator_id, paused_at }: Standing): Promise<void> {
    const member = `${this.members}/${annotator_id}`;
    await this.done(() =>
      paused_at === null
        ? ask("POST", `${member}/pause`, { body: { reason: "Paused by hand." } })
        : ask("POST", `${member}/resume`),
    );
  }

  /** Give somebody another role in the project. */
  async change({ annotator_id }: Standing, role: string): Promise<void> {
    await this.done(() => ask("PATCH", `${this.members}/${annotator_id}`, { body: { role } }));
  }

  /** Take somebody out of the project. */
  async remove({ annotator_id }: Standing): Promise<void> {
    await this.done(() => ask("DELETE", `${this.members}/${annotator_id}`));
  }

  /** All of the table, for spreadsheets. */
  async saveCsv(): Promise<void> {
    this.refused.value = null;
    await once(this.saving, () => save(`${this.path}?format=csv`)).catch(
      (error: Error) => (this.refused.value = `The table was not saved: ${error.message}`),
    );
  }

  /** What is refused is said in `refused`; either way it is looked again, since somebody else may have been faster. */
  private async done(doing: () => Promise<unknown>): Promise<void> {
    this.refused.value = null;
    try {
      await doing();
      await renew();
    } catch (error) {
      this.refused.value = (error as Error).message;
    }
    await this.look().catch(() => undefined); // then what was known stays
  }
}

/** Whether the caller may change somebody's role, or remove them. Their own they keep, where it is all that lets them change it back. */
export function mayChange(caller: Who | null | undefined, project: number, row: Standing): boolean {
  if (!caller || row.role === null || roleIn(caller, project) !== "admin") return false;
  return caller.role === "admin" || caller.annotator_id !== row.annotator_id;
}
