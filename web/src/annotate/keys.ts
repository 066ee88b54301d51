/** Which key does what; each can be changed, and is remembered. */

import { kept } from "../ui/storage";

export const ACTIONS = {
  brush: { keys: ["b"], says: "Brush" },
  eraser: { keys: ["e"], says: "Eraser" },
  polygon: { keys: ["p"], says: "Polygon; a double click or Enter closes it, Escape drops it" },
  fill: { keys: ["f"], says: "Fill a connected area" },
  replace: { keys: ["r"], says: "Replace the class that is clicked, everywhere in the region" },
  smart: { keys: ["s"], says: "Smart fill: what belongs together, by edges and by what an encoder sees" },
  hand: { keys: ["h"], says: "Move the image; so does holding the space bar, or the middle button" },
  smaller: { keys: ["["], says: "Smaller brush" },
  larger: { keys: ["]"], says: "Larger brush" },
  less: { keys: ["-"], says: "Smart fill takes less" },
  more: { keys: ["="], says: "Smart fill takes more" },
  previousClass: { keys: [","], says: "Previous class" },
  nextClass: { keys: ["."], says: "Next class" },
  pickClass: { keys: ["i"], says: "Take the class under the cursor" },
  rest: { keys: ["a"], says: "All that has no class gets the current one" },
  predict: { keys: ["t"], says: "Start again from the prediction" },
  clear: { keys: ["shift+delete"], says: "Take all classes away" },
  undo: { keys: ["ctrl+z"], says: "Undo" },
  redo: { keys: ["ctrl+shift+z", "ctrl+y"], says: "Redo" },
  hide: { keys: ["m"], says: "Hide the label map while held" },
  contours: { keys: ["c"], says: "Contours only" },
  blink: { keys: ["u"], says: "Show pixels without a class" },
  unsure: { keys: ["q"], says: "Show where the network is unsure" },
  fit: { keys: ["0"], says: "Fit the region" },
  zoomIn: { keys: ["shift+="], says: "Zoom in; so does the wheel" },
  zoomOut: { keys: ["shift+-"], says: "Zoom out" },
  submit: { keys: ["ctrl+enter", "n"], says: "Submit, and on to the next region" },
  skip: { keys: ["x"], says: "Skip, with a reason" },
  back: { keys: ["backspace"], says: "Back to the region that was sent last" },
  other: { keys: ["tab"], says: "Another open region of the same image" },
  help: { keys: ["?"], says: "This list" },
} as const satisfies Record<string, { keys: readonly string[]; says: string }>;

export type Action = keyof typeof ACTIONS;

/** Keys that a person has chosen instead of the usual ones. */
export const chosen = kept<Partial<Record<Action, string[]>>>("keys", {});

export function keysOf(action: Action): readonly string[] {
  return chosen.value[action] ?? ACTIONS[action].keys;
}

/** The name of a key with those that are held down with it. */
export function nameOf(event: KeyboardEvent): string {
  const key = event.key === " " ? "space" : event.key.toLowerCase();
  // A letter's case is the shift key's; of other signs the sign itself tells.
  const shifted = event.shiftKey && (key.length > 1 || /[a-z0-9=+_-]/.test(key));
  const shown = event.shiftKey && key === "+" ? "=" : event.shiftKey && key === "_" ? "-" : key;
  return [event.ctrlKey || event.metaKey ? "ctrl" : "", event.altKey ? "alt" : "", shifted ? "shift" : "", shown]
    .filter((part) => part !== "")
    .join("+");
}

export function actionOf(event: KeyboardEvent): Action | undefined {
  const name = nameOf(event);
  return (Object.keys(ACTIONS) as Action[]).find((action) => keysOf(action).includes(name));
}

/** 1 to 9, and with shift 10 to 18: the class's place. */
export function classOf(event: KeyboardEvent): number | undefined {
  const digit = /^Digit([1-9])$/.exec(event.code);
  if (digit === null || event.ctrlKey || event.altKey || event.metaKey) return undefined;
  return Number(digit[1]) - 1 + (event.shiftKey ? 9 : 0);
}

/** Give an action one key of its own; what had it before loses it. */
export function choose(action: Action, name: string): void {
  const next = { ...chosen.value };
  for (const other of Object.keys(ACTIONS) as Action[]) {
    if (other !== action && keysOf(other).includes(name)) next[other] = keysOf(other).filter((key) => key !== name);
  }
  chosen.value = { ...next, [action]: [name] };
}

export function resetKeys(): void {
  chosen.value = {};
}
