/** Making people members of a project, and links for those whom the service does not know yet. */

import { signal } from "@preact/signals";
import { ApiError, ask, type Schemas } from "../api/client";
import { all } from "../api/lists";
import { once } from "../ui/once";

export type Member = Schemas["MemberOut"];

/** What lets somebody in; the service tells it once. */
export interface Link {
  readonly name: string;
  readonly url: string;
}

export class Inviting {
  readonly members = signal<readonly Member[]>([]);
  readonly links = signal<readonly Link[]>([]);
  readonly said = signal<string | null>(null);
  readonly trouble = signal<string | null>(null);
  readonly busy = signal(false);
  private readonly path: string;

  /** `adds`: whether the caller may add people to the service. */
  constructor(
    private readonly project: number,
    private readonly adds: boolean,
  ) {
    this.path = `/projects/${project}/members`;
  }

  async look(): Promise<void> {
    try {
      this.members.value = await all<Member>(this.path);
    } catch (error) {
      this.trouble.value = (error as Error).message;
    }
  }

  /** Whether they are a member now: somebody whom the service does not know is added to it first. */
  async invite(called: string, role: string): Promise<boolean> {
    const name = called.trim();
    let done = false;
    await once(this.busy, async () => {
      [this.said.value, this.trouble.value] = [null, null];
      try {
        if (!(await this.join(name, role))) {
          await this.add(name);
          await this.join(name, role);
        }
        this.said.value = `${name} is a member now.`;
        done = true;
      } catch (error) {
        this.trouble.value = this.told(name, error as Error);
      }
    });
    if (done) void this.look();
    return done;
  }

  /** False where nobody is called so, and the caller may add them. */
  private async join(name: string, role: string): Promise<boolean> {
    try {
      await ask("POST", this.path, { body: { name, role } });
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === "annotator_not_found" && this.adds) return false;
      if (error.code !== "member_exists" || !this.isNew(name)) throw error;
      // Projects that are open to all have taken them in already, as what they are on the service.
      await ask("PATCH", `${this.path}/${String(error.detail["annotator_id"])}`, { body: { role } });
      return true;
    }
  }

  private async add(name: string): Promise<void> {
    const made = await ask<Schemas["AnnotatorCreated"]>("POST", "/annotators", { body: { name, role: "annotator" } });
    const page = `${location.origin}${location.pathname}`;
    const url = `${page}#token=${made.token}/projects/${this.project}/annotate`;
    this.links.value = [...this.links.value, { name, url }];
  }

  private isNew(name: string): boolean {
    return this.links.value.some((each) => each.name === name);
  }

  private told(name: string, error: Error): string {
    if (error instanceof ApiError && error.code === "annotator_not_found") {
      return `${error.message} Somebody new needs a link, which only an admin of the service makes; after that you can add them.`;
    }
    const known = this.members.value.some((each) => each.name === name);
    if (!this.isNew(name) || known) return error.message;
    return `${error.message} ${name} has a link but is no member yet: invite them again.`;
  }
}
