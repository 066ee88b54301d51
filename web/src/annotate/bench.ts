/** What the tools, the palette and the keys work on, wherever the region comes from. */

import { effect } from "@preact/signals";
import type { Schemas } from "../api/client";
import type { History } from "../mask/history";
import type { LabelMap } from "../mask/label_map";
import type { Desk } from "./desk";
import type { Editor } from "./editor";
import type { Hints } from "./hints";
import type { Look } from "./layer";
import { blinking, contours, contrast, gamma, hidden, opacity, patterns, place, tool, unsure } from "./options";
import type { Pointing } from "./pointing";
import type { Stage } from "./stage";
import type { Box } from "./view";

const BLINK_MILLISECONDS = 450;

/** Pixels around a region, and where they lie in the image. */
export interface Surroundings {
  readonly picture: ImageBitmap;
  readonly x: number;
  readonly y: number;
}

/** A region whose label map is painted. */
export interface Painted {
  readonly region: Box;
  readonly map: LabelMap;
  readonly history: History;
  readonly prediction: LabelMap | null;
  readonly hints: Hints | null;
  readonly surroundings: Surroundings;
  /** The region's pixels: red, green, blue, alpha. */
  pixels(): Uint8ClampedArray;
  save(): Promise<void>;
}

export abstract class Bench {
  stage: Stage | null = null;
  pointing: Pointing | null = null;
  editor: Editor | null = null;
  /** Where regions are given out; null where the region was chosen. */
  abstract readonly desk: Desk | null;
  abstract readonly task: Painted | null;

  constructor(readonly project: Schemas["ProjectDetail"]) {
    place.value = Math.min(place.value, project.classes.length - 1);
  }

  get ownClass(): number {
    return this.project.classes[place.value]?.id ?? 0;
  }

  look(marked: boolean): Look {
    return {
      colours: new Map(this.project.classes.map((each) => [each.id, each.color])),
      contours: contours.value,
      patterns: patterns.value,
      unlabelled: this.project.ignore_id,
      marked,
    };
  }

  pick(id: number | undefined): void {
    const found = this.project.classes.findIndex((each) => each.id === id);
    if (found >= 0) place.value = found;
  }

  /** Draw as the person wants to see it, from now on; returns what ends that. */
  show(stage: Stage): (() => void)[] {
    return [
      effect(() => {
        // What is read here is what the picture depends on.
        void [contrast.value, gamma.value, hidden.value, opacity.value, tool.value, unsure.value];
        stage.draw();
      }),
      effect(() => {
        void [contours.value, patterns.value];
        this.editor?.restyle(this.look(false));
      }),
      effect(() => {
        if (!blinking.value) return;
        let marked = true;
        this.editor?.restyle(this.look(marked));
        const timer = setInterval(() => this.editor?.restyle(this.look((marked = !marked))), BLINK_MILLISECONDS);
        return () => {
          clearInterval(timer);
          this.editor?.restyle(this.look(false));
        };
      }),
    ];
  }
}
