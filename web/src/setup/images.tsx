/** Images and label maps dropped into a project. */

import { useSignal } from "@preact/signals";
import type { Schemas } from "../api/client";
import { who } from "../api/session";
import { Choice } from "./choice";
import type { Waiting } from "./pairs";
import { type Target, type Upload, uploadOf } from "./upload";

const SPLITS: readonly [string, string][] = [
  ["pool", "Regions of these are asked for"],
  ["state", "What policies look at (labelled)"],
  ["train", "Labelled already: to start from"],
  ["reward", "Labelled already: mIoU is measured on these"],
  ["test", "Labelled already: for a last measure"],
];

/** Nothing can be measured on images without label maps. */
const MEASURED = "reward";

/** How label maps are read, in the words of the API. */
const READINGS: readonly [string, string][] = [
  ["", "the numbers of classes"],
  ["colors", "the colours of classes"],
  ["binary", "0 for the first class, anything else for the second"],
];

export function Images({ project }: { project: Schemas["ProjectDetail"] }) {
  const upload = uploadOf(who.value?.annotator_id ?? 0, project.id);
  const split = useSignal("pool");
  const reading = useSignal("");
  const target = () => ({ split: split.value, reading: reading.value });
  const pool = split.value === "pool";
  const splits = SPLITS.map(
    ([name, says]) => [name, `${name}: ${says} (${project.images[name] ?? 0} so far)`] as const,
  );
  return (
    <section>
      <h2>Images</h2>
      <Choice says="Into" choices={splits} of={split} />
      <div class="drops">
        <Drop
          says="Drop images or a zip here, or choose them"
          accept=".png,.jpg,.jpeg,.webp,.tif,.tiff,.bmp,.zip"
          take={(files) => void upload.take(files, "images", target())}
        />
        <Drop
          says={pool ? "Label maps of images that are here already" : "Their label maps, each called as its image"}
          accept=".png,.tif,.tiff,.bmp,.npy,.zip"
          take={(files) => void upload.take(files, "labels", target())}
        />
      </div>
      <Choice says="Label maps hold" choices={READINGS} of={reading} />
      <p class="hint">
        {pool
          ? "Regions that a label map labels as a whole are learned from, and nobody is asked for them."
          : "Images wait here until their label maps come. A zip may hold both, in folders called images and labels."}
      </p>
      {[...upload.pairs.value.keys()].map((each) => (
        <Alone key={each} upload={upload} target={{ split: each, reading: reading.value }} />
      ))}
      <Sending upload={upload} />
      {upload.refused.value.length > 0 && (
        <ul class="refused">
          {upload.refused.value.map(({ kind, name, reason }) => (
            <li key={`${kind} ${name}`} class="warning">
              <strong>{name}</strong>: {reason}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

interface DropProps {
  readonly says: string;
  readonly accept: string;
  readonly take: (files: File[]) => void;
}

function Drop({ says, accept, take }: DropProps) {
  const over = useSignal(false);
  return (
    <label
      class={over.value ? "drop over" : "drop"}
      onDragOver={(event) => {
        event.preventDefault();
        over.value = true;
      }}
      onDragLeave={() => (over.value = false)}
      onDrop={(event) => {
        event.preventDefault();
        over.value = false;
        take([...(event.dataTransfer?.files ?? [])]);
      }}
    >
      {says}
      <input
        type="file"
        multiple
        accept={accept}
        onChange={(event) => {
          take([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = ""; // so that the same file can be chosen again
        }}
      />
    </label>
  );
}

function Sending({ upload }: { upload: Upload }) {
  if (upload.total.value === 0) return null;
  const [sent, total, refused] = [upload.sent.value, upload.total.value, upload.refusals.value];
  return (
    <>
      <p role="status">
        <progress aria-label="Files sent" value={sent + refused} max={total} /> {sent} of {total} sent,{" "}
        {upload.added.value} new
        {upload.labelled.value > 0 && `, ${upload.labelled.value} regions labelled`}
        {refused > 0 && `, ${refused} refused`}
      </p>
      {upload.trouble.value !== null && (
        <p class="row warning" role="alert">
          <span>
            {upload.trouble.value} {upload.unsent.value.length}{" "}
            {upload.unsent.value.length === 1 ? "file is" : "files are"} not sent.
          </span>
          <button type="button" onClick={() => void upload.send()}>
            Send again
          </button>
          <button type="button" onClick={() => upload.leave()}>
            Leave out
          </button>
        </p>
      )}
    </>
  );
}

/** What has not found its other half. */
function Alone({ upload, target }: { upload: Upload; target: Target }) {
  const pairs = upload.pairs.value.get(target.split)!;
  const [images, labels] = [pairs.images.value, pairs.labels.value];
  return (
    <>
      {images.length > 0 && (
        <p class="row" role="status">
          <span>
            Waiting for a label map, to go into {target.split}: {listed(images)}
          </span>
          {target.split !== MEASURED && (
            <button type="button" onClick={() => void upload.sendWithout(target)}>
              Send without
            </button>
          )}
        </p>
      )}
      {labels.length > 0 && (
        <p role="status">
          Waiting for an image in {target.split}: {listed(labels)}
        </p>
      )}
    </>
  );
}

function listed(files: readonly Waiting[]): string {
  const names = files.slice(0, 5).map((each) => each.name);
  return names.join(", ") + (files.length > 5 ? ` and ${files.length - 5} more` : "");
}
