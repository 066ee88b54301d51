/** How figures of a campaign are written. */

export const NOTHING = "–";

/** A share as percents. */
export function percent(share: number | null | undefined, digits = 1): string {
  return share === null || share === undefined ? NOTHING : `${fixed(100 * share, digits)}\u00a0%`;
}

/** A difference of shares in points, with its sign. */
export function change(difference: number | null): string {
  if (difference === null) return NOTHING;
  const rounded = points(difference);
  return `${rounded < 0 ? "−" : "+"}${fixed(Math.abs(rounded), 1)}`;
}

/** A difference of shares in points, to the digit that is shown: what is shown as nothing has no sign. */
export function points(difference: number): number {
  return (Math.sign(difference) * Math.round(1000 * Math.abs(difference))) / 10;
}

/** A number to some digits, as the reader's language has it. */
export function fixed(value: number, digits: number): string {
  return value.toLocaleString(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A count as it is; of what counts in part one decimal. */
export function exact(count: number): string {
  return count.toLocaleString(undefined, { maximumFractionDigits: 1 });
}

/** A number with three digits that count. */
export function short(value: number): string {
  if (Math.abs(value) >= 10_000) return value.toLocaleString(undefined, { notation: "compact" });
  return Number(value.toPrecision(3)).toLocaleString();
}

/** So many of something: one of it, or several. */
export function counted(count: number, what: string): string {
  return `${count.toLocaleString()} ${what}${count === 1 ? "" : "s"}`;
}

/** How an interval is announced. */
export const SURE = "95\u00a0% interval";

/** A moment: the time alone where it is of the day of `now`. */
export function moment(text: string, now = new Date()): string {
  const at = new Date(text);
  const time = at.toLocaleTimeString(undefined, { hour: "numeric", minute: "2-digit" });
  if (at.toDateString() === now.toDateString()) return time;
  const year = at.getFullYear() === now.getFullYear() ? {} : ({ year: "numeric" } as const);
  return `${at.toLocaleDateString(undefined, { day: "numeric", month: "short", ...year })}, ${time}`;
}

/** What a strategy of a round is called, with the policy that it asked by. */
export function asked(by: { readonly strategy: string | null; readonly policy_id: number | null }): string {
  if (by.strategy === "import") return "imported labels";
  if (by.strategy !== "learned") return by.strategy ?? "nobody yet";
  return by.policy_id === null ? "the shipped policy" : `own policy ${by.policy_id}`;
}

/** What a contender of held-out games is called. */
export function contender(name: string): string {
  if (name === "own") return "the project's own policy";
  return name === "shipped" ? "the policy that comes with regionwise" : name;
}
