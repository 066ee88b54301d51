/** Labels that wait for a reviewer: side by side, decided by keyboard. */

import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { Schemas } from "../api/client";
import { addressOf, route } from "../routes";
import { isCovered } from "../ui/dialog";
import { useKeys } from "../ui/keys";
import { kept } from "../ui/storage";
import { Heading } from "./heading";
import { Keys } from "./keys";
import { Pictures } from "./pictures";
import { Queue, type Waiting } from "./queue";
import "./review.css";

const STEP = 0.15;
/** What goes on while its key is held down. */
const REPEATED: ReadonlySet<string> = new Set(["ArrowLeft", "ArrowRight", "[", "]"]);
const opacity = kept("review.opacity", 0.55);
const marked = kept("review.marked", false);

export function Review({ project }: { project: Schemas["ProjectDetail"] }) {
  const queue = useMemo(() => new Queue(project.id), [project.id]);
  const chosen = useSignal(0);
  const reason = useSignal("");
  const help = useSignal(false);
  /** Labels that were on the screen: no other one is accepted. */
  const seen = useSignal<ReadonlySet<number>>(new Set());
  const field = useRef<HTMLInputElement>(null);
  const opened = route.value.region;
  const region = queue.first.value;
  const several = (region?.labels.length ?? 0) > 1;

  useEffect(() => () => queue.close(), [queue]);
  useEffect(() => void (opened === 0 && queue.look()), [queue, opened]);
  // Before a key can come: the choice among one region's labels is none among another's.
  useLayoutEffect(() => {
    chosen.value = 0;
    reason.value = "";
  }, [region?.id]);

  const isSeen = (place: number) => seen.value.has(region?.labels[place]?.id ?? 0);
  const accept = (place: number) => {
    const label = region?.labels[place];
    if (label !== undefined && isSeen(place)) void queue.decide({ decision: "accepted", label_id: label.id });
  };
  const reject = (alone: boolean) => {
    const label = alone ? region?.labels[chosen.value] : undefined;
    const said = reason.value.trim();
    field.current?.blur();
    if (said === "") return;
    void queue.decide({
      decision: "rejected",
      reason: said,
      ...(label === undefined ? {} : { label_id: label.id }),
    });
  };
  const correct = () => {
    const label = region?.labels[chosen.value];
    if (label !== undefined) location.hash = addressOf("review", project.id, region!.id, `version=${label.version}`);
  };
  const turn = (by: number) => {
    const count = region?.labels.length ?? 0;
    if (count > 0) chosen.value = (chosen.value + by + count) % count;
  };

  useKeys((event) => {
    const acts: Record<string, () => void> = {
      a: () => accept(chosen.value),
      Enter: () => accept(chosen.value),
      c: correct,
      r: () => field.current?.focus(),
      d: () => (marked.value = !marked.value),
      l: () => queue.later(),
      ArrowLeft: () => turn(-1),
      ArrowRight: () => turn(1),
      "[": () => (opacity.value = Math.max(0, opacity.value - STEP)),
      "]": () => (opacity.value = Math.min(1, opacity.value + STEP)),
      "?": () => (help.value = true),
    };
    if (opened > 0 || isCovered() || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target instanceof HTMLInputElement) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    // A key that is held down is one wish: what comes next has not been looked at.
    const held = event.repeat && !REPEATED.has(event.key);
    const onButton =
      event.key === "Enter" && event.target instanceof HTMLElement && event.target.closest("button, a") !== null;
    if (onButton && !held) return;
    const place = /^[1-9]$/.test(event.key) ? Number(event.key) - 1 : -1;
    if (place < 0 && acts[event.key] === undefined) return;
    event.preventDefault();
    if (held) return;
    if (place >= 0) accept(place);
    else acts[event.key]!();
  });

  return (
    <main class="review">
      {region === undefined ? (
        <Nothing queue={queue} />
      ) : (
        <>
          <header>
            <Heading region={region} />
            <span class="count" role="status">
              {queue.count.value === 1 ? "1 region waits" : `${queue.count.value?.toLocaleString()} regions wait`}
            </span>
            <label>
              <input type="checkbox" checked={marked.value} onChange={() => (marked.value = !marked.value)} />{" "}
              Differences only <kbd>d</kbd>
            </label>
            <button type="button" onClick={() => (help.value = true)}>
              Keys <kbd>?</kbd>
            </button>
          </header>
          <Pictures
            region={region}
            classes={project.classes}
            opacity={opacity.value}
            marked={marked.value}
            chosen={chosen.value}
            choose={(place) => (chosen.value = place)}
            seen={(label) => seen.value.has(label) || (seen.value = new Set([...seen.value, label]))}
          />
          <form
            class="deciding"
            onSubmit={(event) => {
              event.preventDefault();
              reject(false);
            }}
          >
            <button
              type="button"
              class="main"
              disabled={!isSeen(chosen.value)}
              title={isSeen(chosen.value) ? undefined : "It is not on the screen yet"}
              onClick={() => accept(chosen.value)}
            >
              Accept {several ? `label ${chosen.value + 1}` : "it"} <kbd>a</kbd>
            </button>
            <button type="button" onClick={correct}>
              Correct {several ? `label ${chosen.value + 1}` : "it"} <kbd>c</kbd>
            </button>
            <button type="button" onClick={() => queue.later()} disabled={(queue.waiting.value?.length ?? 0) < 2}>
              Later <kbd>l</kbd>
            </button>
            <input
              ref={field}
              aria-label="Why it is rejected"
              placeholder="Why it is rejected (r), then Enter"
              maxLength={500}
              value={reason.value}
              onInput={(event) => (reason.value = event.currentTarget.value)}
            />
            <button type="submit" disabled={reason.value.trim() === ""}>
              Reject {several ? "all" : ""}
            </button>
            {several && (
              <button type="button" disabled={reason.value.trim() === ""} onClick={() => reject(true)}>
                Reject label {chosen.value + 1}
              </button>
            )}
          </form>
        </>
      )}
      {queue.trouble.value !== null && (
        <p class="warning" role="alert">
          {queue.trouble.value}
        </p>
      )}
      {queue.unseen.value !== null && (
        <p class="warning" role="alert">
          {queue.unseen.value} Trying again…
        </p>
      )}
      {queue.decided.value !== null && <Decided project={project.id} {...queue.decided.value} />}
      {help.value && <Keys close={() => (help.value = false)} />}
    </main>
  );
}

function Nothing({ queue }: { queue: Queue }) {
  const known = queue.waiting.value !== null && queue.pending.value === 0;
  return (
    <>
      <h1 class="unseen">Review</h1>
      <p class="waiting" role="status">
        {known ? "Nothing waits for a review." : queue.unseen.value === null ? "…" : ""}
      </p>
    </>
  );
}

/** What was decided last, and the way back to it. */
function Decided({ project, region, decision }: { project: number; region: Waiting; decision: string }) {
  return (
    <p class="hint decided" role="status">
      {region.image_name} ({region.x}, {region.y}) was {decision}.{" "}
      <a href={addressOf("review", project, region.id)}>Look at it again</a>
    </p>
  );
}
