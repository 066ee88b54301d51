/** A region that cannot be corrected now: its image, what the network says, and the labels that are there. */

import { useEffect, useRef } from "preact/hooks";
import type { Schemas } from "../api/client";
import { focusOn } from "../ui/focus";
import { Overlay } from "../ui/overlay";
import { useKeys } from "../ui/keys";
import type { MapAt } from "../ui/pixels";
import type { Region, Version } from "./correction";
import { Heading } from "./heading";
import { said } from "./versions";

interface LookedAtProps {
  readonly project: Schemas["ProjectDetail"];
  readonly region: Region;
  readonly versions: readonly Version[];
  readonly close: () => void;
}

const OPACITY = 0.6;

export function LookedAt({ project, region, versions, close }: LookedAtProps) {
  const colours = new Map(project.classes.map((each) => [each.id, each.color]));
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => focusOn(box.current!.querySelector("h1")), []);
  useKeys((event) => event.key === "Escape" && close());
  const shown: (readonly [string, MapAt | null])[] = [
    ["Image", null],
    ...(region.prediction_url === null
      ? []
      : [["Prediction", { path: region.prediction_url, of: region.prediction_checkpoint_id }] as const]),
    ...versions.map((each) => [said(each), { path: each.mask_url, of: each.id }] as const),
  ];
  return (
    <div class="correct looked-at" ref={box}>
      <header>
        <Heading region={region} />
        <button type="button" onClick={close}>
          Close <kbd>Esc</kbd>
        </button>
      </header>
      <p role="status">{why(region, versions.length)}</p>
      <div class="pictures">
        {shown.map(([title, mask]) => (
          <figure key={title}>
            <Overlay
              title={title}
              crop={region.crop_url}
              width={region.width}
              height={region.height}
              mask={mask}
              colours={colours}
              opacity={OPACITY}
            />
            <figcaption>{title}</figcaption>
          </figure>
        ))}
      </div>
    </div>
  );
}

function why(region: Region, labels: number): string {
  if (region.state === "skipped") return `This region was skipped: ${region.skip_reason ?? "no reason was given."}`;
  if (labels === 0) return "Nobody has labelled this region yet: it can only be looked at.";
  const more = region.overlap - region.answers;
  return `This region waits for ${more} more label${more === 1 ? "" : "s"}: it can be corrected once they are there.`;
}
