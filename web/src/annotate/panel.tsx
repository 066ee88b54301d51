/** What is known of the region, how it is shown, and what to do with it. */

import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Display } from "./display";
import { keysOf } from "./keys";
import { unsure } from "./options";
import type { Studio } from "./page";
import type { Task } from "./task";
import { Why } from "./why";

interface PanelProps {
  readonly studio: Studio;
  readonly changes: Signal<number>;
  readonly skip: () => void;
}

export function Panel({ studio, changes, skip }: PanelProps) {
  void changes.value;
  const { desk } = studio;
  const task = desk.current.value;
  const prediction = task?.prediction ?? null;
  return (
    <section class="panel">
      {task !== null && <About task={task} />}
      {task?.hints && <Why why={task.hints.why} studio={studio} />}
      {task !== null && (
        <div class="row">
          <button
            type="button"
            disabled={prediction === null}
            title={prediction === null ? "No network has looked at this region yet" : "Start again from the prediction"}
            onClick={() => prediction !== null && studio.editor?.exchange(prediction)}
          >
            Prediction <kbd>{keysOf("predict")[0]}</kbd>
          </button>
          <button
            type="button"
            aria-pressed={unsure.value}
            disabled={!task.hints?.uncertainty}
            title={
              task.hints?.uncertainty ? "Show where the network is unsure" : "No network has looked at this region yet"
            }
            onClick={() => (unsure.value = !unsure.value)}
          >
            Unsure <kbd>{keysOf("unsure")[0]}</kbd>
          </button>
        </div>
      )}
      <Display />
      <Sending studio={studio} />
      <Done studio={studio} />
      <div class="ending">
        <button type="button" disabled={task === null} onClick={skip}>
          Skip <kbd>{keysOf("skip")[0]}</kbd>
        </button>
        <button class="submit" type="button" disabled={task === null} onClick={() => void desk.submit()}>
          Submit <kbd>{keysOf("submit")[0]}</kbd>
        </button>
      </div>
    </section>
  );
}

function About({ task }: { task: Task }) {
  const { region } = task;
  return (
    <div class="about">
      <strong title={region.image_name}>{region.image_name}</strong>
      <span>
        {region.width} × {region.height} at ({region.x}, {region.y}) · round {region.round}
      </span>
      <Lease task={task} />
      {task.restored && <span class="hint">Painted before: taken up where it was left.</span>}
    </div>
  );
}

function Lease({ task }: { task: Task }) {
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const left = Math.max(0, Math.floor((task.leasedUntil.value - now.value) / 1000));
  if (task.lost.value !== null) {
    return (
      <span class="warning" role="alert">
        {task.lost.value} Your work is kept; you may still try to send it.
      </span>
    );
  }
  const text = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  return (
    <span class={left < 60 ? "warning" : ""} title="Renewed while you work">
      Yours for {text}
    </span>
  );
}

function Sending({ studio }: { studio: Studio }) {
  const { desk } = studio;
  const { outbox, trouble, unreadable } = desk;
  const waiting = outbox.waiting.value.length;
  return (
    <div class="sending" role="status">
      {trouble.value !== null && <span class="warning">{trouble.value}</span>}
      {unreadable.value.map((each) => (
        <span class="warning" key={each.region.id}>
          {each.region.image_name} ({each.region.x}, {each.region.y}): {each.why}{" "}
          <button type="button" onClick={() => void desk.skipUnreadable(each)}>
            Skip it
          </button>
        </span>
      ))}
      {outbox.unkept.value && waiting > 0 && (
        <span class="warning">This browser keeps nothing: leave the page open until all is sent.</span>
      )}
      {!outbox.reached.value && (
        <span class="warning">Offline: {waiting} kept here, sent once the service is back.</span>
      )}
      {outbox.refused.value.map((parcel) => (
        <span class="warning" key={parcel.key}>
          {parcel.imageName}, region {parcel.regionId}: {parcel.refused}{" "}
          <button type="button" onClick={() => void outbox.drop(parcel)}>
            Drop it
          </button>
        </span>
      ))}
    </div>
  );
}

function Done({ studio }: { studio: Studio }) {
  const { desk } = studio;
  const [here, earlier] = [desk.done.value, desk.earlier.value];
  if (here.length + earlier.length === 0) return null;
  return (
    <details class="done">
      <summary>
        {desk.submitted.value} sent in this visit; go back <kbd>{keysOf("back")[0]}</kbd>
      </summary>
      <ol>
        {here.map((task) => (
          <li key={task.key}>
            <button type="button" onClick={() => void desk.goBack(task)}>
              {task.region.image_name} ({task.region.x}, {task.region.y}){task.skipped && ", skipped"}
            </button>
          </li>
        ))}
        {earlier.map((done) => (
          <li key={done.region_id}>
            <button type="button" onClick={() => void desk.goBackTo(done)}>
              {done.image_name}, {done.done} {new Date(done.at).toLocaleString()}
            </button>
          </li>
        ))}
      </ol>
    </details>
  );
}
