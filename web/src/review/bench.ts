/** What a reviewer's tools work on: one region that was chosen. */

import { effect, signal } from "@preact/signals";
import { Bench } from "../annotate/bench";
import { Editor } from "../annotate/editor";
import { Keyboard } from "../annotate/keyboard";
import type { Action } from "../annotate/keys";
import { Pointing } from "../annotate/pointing";
import { Stage } from "../annotate/stage";
import type { Schemas } from "../api/client";
import { differing } from "../mask/differences";
import type { LabelMap } from "../mask/label_map";
import type { Correction } from "./correction";

const MARK = [255, 0, 255, 170] as const;

export class CorrectionBench extends Bench {
  readonly desk = null;
  /** Counts up with every change. */
  readonly changes = signal(0);
  readonly hovered = signal<number | undefined>(undefined);
  /** What the label map is held against. */
  readonly other = signal<LabelMap | null>(null);

  constructor(
    project: Schemas["ProjectDetail"],
    readonly task: Correction,
  ) {
    super(project);
  }

  /** Work on a canvas until the function that is returned is called. */
  open(
    canvas: HTMLCanvasElement,
    dialog: { open: (which: "help" | "skip") => void; covered: () => boolean },
    own: Partial<Record<Action, () => unknown>>,
  ): () => void {
    const { task, project } = this;
    const stage = new Stage(canvas);
    const editor = new Editor(task, this.look(false), project.ignore_id, stage.redraw);
    const signs = { work: () => task.stopwatch.tick(), hover: (id: number | undefined) => (this.hovered.value = id) };
    this.stage = stage;
    this.editor = editor;
    this.pointing = new Pointing(stage, () => ({ own: this.ownClass, unlabelled: project.ignore_id }), signs);
    stage.show(editor);
    const keyboard = new Keyboard(this, dialog.open, dialog.covered, own);
    const closed = new AbortController();
    void task.widen(closed.signal).then(stage.draw, () => undefined);
    const stops = [
      editor.changes.subscribe((count) => (this.changes.value = count)),
      effect(() => {
        void this.changes.value;
        stage.marks = this.other.value === null ? null : marked(task.map, this.other.value);
        stage.draw();
      }),
      ...this.show(stage),
    ];
    const leaving = () => void (editor.changes.peek() > 0 && task.save().catch(() => undefined)); // a browser that keeps nothing
    addEventListener("pagehide", leaving);
    return () => {
      removeEventListener("pagehide", leaving);
      closed.abort();
      stops.forEach((stop) => stop());
      keyboard.close();
      editor.close();
      leaving(); // the last stroke may not have been kept yet
      stage.close();
    };
  }
}

/** Where two label maps differ, to be drawn over one of them. */
function marked(map: LabelMap, other: LabelMap): OffscreenCanvas {
  const canvas = new OffscreenCanvas(map.width, map.height);
  const image = new ImageData(map.width, map.height);
  const different = differing(map, [other]);
  different.forEach((each, at) => each && image.data.set(MARK, 4 * at));
  canvas.getContext("2d")!.putImageData(image, 0, 0);
  return canvas;
}
