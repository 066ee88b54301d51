/** The page on which regions are painted. */

import { effect, untracked, useComputed, useSignal } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { Schemas } from "../api/client";
import { isCovered } from "../ui/dialog";
import { Bench, type Painted } from "./bench";
import { Desk } from "./desk";
import { GammaFilter } from "./display";
import { Editor } from "./editor";
import { Help } from "./help";
import { Keyboard } from "./keyboard";
import { Palette } from "./palette";
import { Panel } from "./panel";
import { Pointing } from "./pointing";
import { SkipDialog } from "./skip";
import { Stage } from "./stage";
import { Toolbar } from "./toolbar";

export interface AnnotateProps {
  readonly annotator: number;
  readonly project: Schemas["ProjectDetail"];
}

/** Everything that the parts of the page share. */
export class Studio extends Bench {
  readonly desk: Desk;

  constructor(
    readonly annotator: number,
    project: Schemas["ProjectDetail"],
  ) {
    super(project);
    this.desk = new Desk(annotator, project.id, project.ignore_id);
  }

  get task(): Painted | null {
    return this.desk.current.value;
  }
}

export function Annotate({ annotator, project }: AnnotateProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const studio = useMemo(() => new Studio(annotator, project), [annotator, project.id]);
  const hovered = useSignal<number | undefined>(undefined);
  const dialog = useSignal<"help" | "skip" | null>(null);
  const changes = useSignal(0);
  const { desk } = studio;

  useLayoutEffect(() => {
    const stage = new Stage(canvas.current!);
    const signs = { work: () => desk.sign(), hover: (id: number | undefined) => (hovered.value = id) };
    const ids = () => ({ own: studio.ownClass, unlabelled: project.ignore_id });
    studio.stage = stage;
    studio.pointing = new Pointing(stage, ids, signs);
    const keyboard = new Keyboard(studio, (which) => (dialog.value = which), isCovered);
    const stops = [
      effect(() => {
        const task = desk.current.value;
        studio.editor?.close();
        // How things look changes while a region stands here: that is no reason to begin with it anew.
        const look = untracked(() => studio.look(false));
        studio.editor = task === null ? null : new Editor(task, look, project.ignore_id, stage.redraw);
        stage.show(studio.editor);
        const stop = studio.editor?.changes.subscribe(() => (changes.value += 1));
        return () => stop?.();
      }),
      effect(() => {
        const here = desk.current.value?.region;
        stage.others = desk.ready.value.map((each) => each.region).filter((each) => each.image_id === here?.image_id);
        stage.draw();
      }),
      effect(() => {
        void desk.widened.value;
        stage.draw();
      }),
      ...studio.show(stage),
    ];
    void desk.open();
    const leaving = () => void desk.current.value?.save();
    addEventListener("pagehide", leaving);
    return () => {
      stops.forEach((stop) => stop());
      removeEventListener("pagehide", leaving);
      keyboard.close();
      studio.editor?.close();
      stage.close();
      desk.close();
    };
  }, [studio]);

  const busy = useComputed(() => desk.current.value === null);
  return (
    <div class="annotate">
      <Toolbar studio={studio} help={() => (dialog.value = "help")} changes={changes} />
      <main class="stage">
        <canvas
          ref={canvas}
          tabIndex={0}
          role="application"
          aria-label="Region to paint. Arrow keys move the cursor, Enter uses the tool there; ? lists all keys."
        />
        {busy.value && <Waiting desk={desk} />}
      </main>
      <aside class="side">
        <Palette studio={studio} hovered={hovered} changes={changes} />
        <Panel studio={studio} changes={changes} skip={() => (dialog.value = "skip")} />
      </aside>
      <GammaFilter />
      {dialog.value === "help" && <Help close={() => (dialog.value = null)} />}
      {dialog.value === "skip" && <SkipDialog desk={desk} close={() => (dialog.value = null)} />}
    </div>
  );
}

const WHY: Record<string, string> = {
  scoring: "The next regions are being chosen. They come by themselves.",
  all_leased:
    "Others hold all the regions of this round, or they are for others to label. You get the next one that is free.",
  in_review: "What is left of this round waits for a reviewer. The next round comes by itself.",
  budget_reached: "All the regions that the budget allows are labelled. Thank you!",
  pool_empty: "Every region of every image is labelled. Thank you!",
  not_started: "The campaign is paused, or has no images yet.",
  held: "You hold as many regions as one may.",
  paused: "You are paused in this project.",
  failed: "A job that the campaign needs has failed; an admin must act.",
  unreadable: "What you hold cannot be read; skip it at the side, or wait.",
};

function Waiting({ desk }: { desk: Desk }) {
  const nothing = desk.nothing.value;
  const text = nothing === null ? "Looking for a region…" : (nothing.sentence ?? WHY[nothing.reason] ?? nothing.reason);
  return (
    <div class="waiting" role="status">
      <p>{desk.trouble.value ?? text}</p>
    </div>
  );
}
