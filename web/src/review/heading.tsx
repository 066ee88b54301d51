/** Which region is looked at. */

import type { Schemas } from "../api/client";

export function Heading({ region }: { region: Pick<Schemas["RegionDetail"], "image_name" | "x" | "y" | "round"> }) {
  return (
    <h1>
      {region.image_name}{" "}
      <span class="hint">
        ({region.x}, {region.y}), round {region.round}
      </span>
    </h1>
  );
}
