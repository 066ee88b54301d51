import { beforeEach, expect, test } from "vitest";
import "./browser";
import { Editor } from "../src/annotate/editor";
import { History } from "../src/mask/history";
import { type LabelMap, labelMap } from "../src/mask/label_map";

const [WIDTH, HEIGHT] = [40, 10];
const STAMP = { shape: "square", size: 3 } as const;
const LOOK = { colours: new Map(), contours: false, patterns: false, marked: false, unlabelled: 255 };

let map: LabelMap;
let history: History;
let editor: Editor;

beforeEach(() => {
  map = labelMap(WIDTH, HEIGHT, 0);
  history = new History();
  const rgba = new Uint8ClampedArray(4 * WIDTH * HEIGHT);
  for (let at = 0; at < WIDTH * HEIGHT; at++) rgba.fill(at % WIDTH < WIDTH / 2 ? 40 : 200, 4 * at, 4 * at + 3);
  const box = { x: 0, y: 0, width: WIDTH, height: HEIGHT };
  const task = { region: box, map, history, prediction: null, hints: null, pixels: () => rgba, save: async () => {} };
  editor = new Editor({ ...task, surroundings: null as never }, LOOK, 255, () => undefined);
});

const count = (id: number) => map.ids.filter((each) => each === id).length;

function stamp(x: number, id: number): void {
  editor.begin();
  editor.paint(STAMP, { x, y: 5.5 }, { x, y: 5.5 }, id);
  editor.end();
}

test("another level of a smart fill that changed nothing takes no other work back", () => {
  for (const x of [22.5, 28.5, 34.5]) stamp(x, 1);
  editor.smartFill({ x: 5, y: 5 }, 0, 5); // class 0 is there already
  for (const level of [8, 11, 14]) editor.relevel(level);
  expect(count(1)).toBe(27);
  for (let step = 0; step < 3; step++) editor.undo();
  expect([count(1), history.canUndo]).toEqual([0, false]);
});

test("another level of a smart fill takes that fill back, however often", () => {
  stamp(34.5, 2);
  editor.smartFill({ x: 5, y: 5 }, 1, 5);
  const filled = count(1);
  expect(filled).toBeGreaterThan(0);
  for (const level of [255, 5]) editor.relevel(level);
  expect(count(1)).toBe(filled);
  editor.undo();
  expect([count(1), count(2)]).toEqual([0, 9]);
});

test("a fill beside the region changes nothing", () => {
  for (const at of [
    { x: -1.5, y: 2.5 },
    { x: WIDTH + 0.5, y: 2.5 },
    { x: 3, y: -0.5 },
    { x: 3, y: HEIGHT + 2 },
  ])
    editor.fill(at, 1);
  expect([count(1), history.canUndo]).toEqual([0, false]);
});

test("a stroke that another step, or the end, comes upon is a step of its own", () => {
  editor.begin();
  editor.paint(STAMP, { x: 5.5, y: 5.5 }, { x: 5.5, y: 5.5 }, 1);
  editor.fillRest(2); // nothing is left without a class: no step
  expect(editor.painting).toBe(false);
  expect(count(1)).toBe(9);
  editor.begin();
  editor.paint(STAMP, { x: 15.5, y: 5.5 }, { x: 15.5, y: 5.5 }, 1);
  editor.close();
  expect(count(1)).toBe(18);
  editor.undo();
  expect(count(1)).toBe(9);
  editor.undo();
  expect(count(1)).toBe(0);
});
