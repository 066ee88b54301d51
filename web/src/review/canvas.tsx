/** The tools of the annotate page over one label, and what a reviewer does with it. */

import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { Display, GammaFilter } from "../annotate/display";
import { Help } from "../annotate/help";
import { keysOf } from "../annotate/keys";
import { opacity } from "../annotate/options";
import { Palette } from "../annotate/palette";
import { Toolbar } from "../annotate/toolbar";
import { ApiError, type Schemas, sentence } from "../api/client";
import { isCovered } from "../ui/dialog";
import { Overlay } from "../ui/overlay";
import { CorrectionBench } from "./bench";
import { type Correction, mapOf, type Version } from "./correction";
import { said, Versions } from "./versions";

const FITTED_AFTER = 60;

interface CanvasProps {
  readonly project: Schemas["ProjectDetail"];
  readonly correction: Correction;
  readonly close: () => void;
  readonly again: () => void;
}

export function Canvas({ project, correction, close, again }: CanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const bench = useMemo(() => new CorrectionBench(project, correction), [correction]); // of the project as it was when it was opened

  const help = useSignal(false);
  const reason = useSignal("");
  const saving = useSignal(false);
  const trouble = useSignal<Error | null>(null);
  const base = useSignal(correction.base);
  const compared = useSignal<Version | null>(null);
  const beside = useSignal(false);
  const left = useSignal(correction.left);
  const { region, versions, prediction } = correction;

  const save = async () => {
    if (saving.value) return;
    saving.value = true;
    trouble.value = null;
    try {
      await correction.send(reason.value.trim());
      close();
    } catch (error) {
      trouble.value = error as Error;
      saving.value = false;
    }
  };
  const told = (doing: Promise<unknown>) => void doing.catch((error: Error) => (trouble.value = error));
  const start = async (version: Version) => {
    const map = await mapOf(version);
    correction.base = base.value = version;
    bench.editor?.exchange(map);
  };
  const compare = async (version: Version | null) => {
    bench.other.value = version === null ? null : await mapOf(version);
    compared.value = version;
  };
  const takeUp = () => {
    bench.editor?.exchange(left.value!);
    left.value = null;
  };
  const drop = async () => {
    await correction.drop();
    left.value = null;
  };

  useLayoutEffect(() => {
    const dialog = { open: () => (help.value = true), covered: isCovered };
    canvas.current!.focus({ preventScroll: true });
    return bench.open(canvas.current!, dialog, { submit: () => void save(), skip: () => undefined, back: close });
  }, [bench]);

  const other = compared.value;
  const two = beside.value && other !== null;
  useEffect(() => {
    // Once the stage has its new size.
    const timer = setTimeout(() => bench.stage?.fit(), FITTED_AFTER);
    return () => clearTimeout(timer);
  }, [two]);
  return (
    <div class="correct annotate">
      <Toolbar studio={bench} help={() => (help.value = true)} changes={bench.changes} />
      <main class={two ? "stages two" : "stages"}>
        <div class="stage">
          <canvas
            ref={canvas}
            tabIndex={0}
            role="application"
            aria-label="Label to correct. Arrow keys move the cursor, Enter uses the tool there; ? lists all keys."
          />
        </div>
        {two && (
          <figure class="beside">
            <Overlay
              title={`Version ${said(other)}`}
              crop={region.crop_url}
              width={region.width}
              height={region.height}
              mask={{ path: other.mask_url, of: other.id }}
              colours={bench.look(false).colours}
              opacity={opacity.value}
            />
            <figcaption>{said(other)}</figcaption>
          </figure>
        )}
      </main>
      <aside class="side">
        <div class="about">
          <strong title={region.image_name}>{region.image_name}</strong>
          <span>
            {region.width} × {region.height} at ({region.x}, {region.y}) · round {region.round}
          </span>
          <span>Painted over {said(base.value)}</span>
        </div>
        {left.value !== null && (
          <div class="left-over" role="status">
            A correction of {new Date(left.value.savedAt).toLocaleString()} was not saved
            {left.value.version === correction.base.version
              ? "."
              : `; it was painted over version ${left.value.version}.`}
            <span class="row">
              <button type="button" class="main" onClick={takeUp}>
                Take it up
              </button>
              <button type="button" onClick={() => told(drop())}>
                Drop it
              </button>
            </span>
          </div>
        )}
        <form
          class="saving"
          onSubmit={(event) => {
            event.preventDefault();
            void save();
          }}
        >
          <input
            aria-label="Reason of the correction, shown to who drew the label"
            placeholder="Reason, if you like"
            maxLength={500}
            value={reason.value}
            onInput={(event) => (reason.value = event.currentTarget.value)}
          />
          <span class="row">
            <button class="submit" type="submit" disabled={saving.value}>
              Save <kbd>{keysOf("submit")[0]}</kbd>
            </button>
            <button type="button" onClick={close}>
              Close <kbd>{keysOf("back")[0]}</kbd>
            </button>
          </span>
          {trouble.value !== null && <Trouble error={trouble.value} again={again} />}
        </form>
        <Palette studio={bench} hovered={bench.hovered} changes={bench.changes} />
        <button
          type="button"
          disabled={prediction === null}
          title={prediction === null ? "No network has looked at this region" : "Start again from the prediction"}
          onClick={() => prediction !== null && bench.editor?.exchange(prediction)}
        >
          Start from the prediction <kbd>{keysOf("predict")[0]}</kbd>
        </button>
        <Versions
          versions={versions}
          base={base.value}
          compared={other}
          start={(version) => told(start(version))}
          compare={(version) => told(compare(version))}
        />
        {other !== null && (
          <label>
            <input type="checkbox" checked={beside.value} onChange={() => (beside.value = !beside.value)} /> Side by
            side
          </label>
        )}
        <Display />
      </aside>
      <GammaFilter />
      {help.value && <Help close={() => (help.value = false)} />}
    </div>
  );
}

/** Why it was not saved; where the label is another one by now, the way to that. */
function Trouble({ error, again }: { error: Error; again: () => void }) {
  const overtaken = error instanceof ApiError && error.status === 409 && error.code !== "own_label";
  return (
    <p class="warning" role="alert">
      {sentence(error)}
      {overtaken && (
        <>
          {" "}
          What you painted is kept.{" "}
          <button type="button" onClick={again}>
            Look again
          </button>
        </>
      )}
    </p>
  );
}
