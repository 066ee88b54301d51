/** Work that must not be lost: what is painted (drafts), and what is done and not yet sent (the outbox). */

import { openOnce, Table } from "../ui/storage";

/** What is painted of a region, as of the last stroke. */
export interface Draft {
  readonly key: string;
  readonly regionId: number;
  readonly width: number;
  readonly height: number;
  readonly ids: Uint8Array;
  readonly activeSeconds: number;
  readonly idleSeconds: number;
  readonly savedAt: number;
}

/** A label that is done. */
export interface Parcel extends Draft {
  readonly project: number;
  readonly leaseToken: string;
  readonly imageName: string;
  /** Why the service does not take it; it is not sent again by itself. */
  readonly refused?: string;
}

/** The tables of this browser. */
export const database = openOnce("regionwise", ["drafts", "outbox"]);
export const drafts = new Table<Draft>("drafts", database);
export const outboxTable = new Table<Parcel>("outbox", database);

/** Another person who logs in here has drafts of their own. */
export function keyOf(annotator: number, region: number): string {
  return `${annotator}/${region}`;
}
