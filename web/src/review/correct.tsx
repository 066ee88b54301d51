/** One region at full size: its label is corrected here, or, where nothing can be, looked at. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, type Schemas } from "../api/client";
import { route } from "../routes";
import { Canvas } from "./canvas";
import "./correct.css";
import { Correction, type Region, type Version } from "./correction";
import { LookedAt } from "./looked_at";

export interface CorrectProps {
  readonly project: Schemas["ProjectDetail"];
  readonly region: number;
  readonly reviewer: number;
  readonly close: () => void;
}

interface Opened {
  readonly region: Region;
  readonly versions: readonly Version[];
  /** null: it can only be looked at. */
  readonly correction: Correction | null;
}

export function Correct({ project, region: id, reviewer, close }: CorrectProps) {
  const opened = useSignal<Opened | null>(null);
  const trouble = useSignal<string | null>(null);
  const looks = useSignal(0);

  useEffect(() => {
    const stopped = new AbortController();
    const chosen = Number(new URLSearchParams(route.value.query).get("version"));
    load(project.id, id, reviewer, chosen, stopped.signal).then(
      (found) => (opened.value = found),
      (error: Error) => !stopped.signal.aborted && (trouble.value = error.message),
    );
    return () => stopped.abort();
  }, [id, looks.value]);

  const again = () => {
    opened.value = null;
    looks.value += 1;
  };
  const found = opened.value;
  if (found === null) {
    return (
      <div class="correct">
        <p class="waiting" role="status">
          {trouble.value ?? "…"}
          <br />
          <button type="button" onClick={close}>
            Close
          </button>
        </p>
      </div>
    );
  }
  return found.correction === null ? (
    <LookedAt project={project} region={found.region} versions={found.versions} close={close} />
  ) : (
    <Canvas project={project} correction={found.correction} close={close} again={again} />
  );
}

async function load(
  project: number,
  id: number,
  reviewer: number,
  chosen: number,
  signal: AbortSignal,
): Promise<Opened> {
  const [region, { items: versions }] = await Promise.all([
    ask<Region>("GET", `/regions/${id}`, { signal }),
    ask<{ items: Version[] }>("GET", `/regions/${id}/labels?limit=500`, { signal }),
  ]);
  if (region.project_id !== project) throw new Error(`Region ${id} is of another project.`);
  const base = versions.find((each) => each.version === chosen) ?? versions.at(-1);
  const open = region.state === "open" || region.state === "skipped";
  const correction =
    open || base === undefined ? null : await Correction.load(region, versions, base, reviewer, signal);
  return { region, versions, correction };
}
