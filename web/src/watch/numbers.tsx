/** The figures at the top: how good, how much, how fast, until when, and what is going on. */

import type { ComponentChildren } from "preact";
import type { Schemas } from "../api/client";
import { gained, type Progress } from "./points";
import { change, exact, moment, NOTHING, percent, short } from "./words";

type Running = Progress["running"][number];

interface NumbersProps {
  readonly project: Schemas["ProjectDetail"];
  readonly progress: Progress;
}

export function Numbers({ project, progress }: NumbersProps) {
  const { budget, pace, finish, running } = progress;
  const gain = gained(progress.points);
  const open = project.regions["open"] ?? 0;
  const review = project.regions["review"] ?? 0;
  const labelled = budget.regions === null ? (project.regions["labelled"] ?? 0) : budget.labelled;
  return (
    <dl class="numbers">
      <Number name="mIoU" value={percent(project.miou)}>
        {gain === null ? "on the reward images" : `${change(gain)} points since the first round`}
      </Number>
      <Number
        name="Regions labelled"
        value={`${exact(labelled)}${budget.regions === null ? "" : ` of ${exact(budget.regions)}`}`}
      >
        {budget.regions === null ? (
          "no budget"
        ) : (
          <progress max={budget.regions} value={budget.labelled} aria-label="Labelled of the budget" />
        )}
      </Number>
      <Number name="Labels an hour" value={pace.hour === null ? NOTHING : short(pace.hour)}>
        {pace.day === null
          ? "in the last hour of labelling"
          : `in the last hour of labelling, ${short(pace.day)} in its last day`}
      </Number>
      <Expected active={project.active} finish={finish} />
      <Number name="Waiting for labels" value={open.toLocaleString()}>
        {review === 0 ? "regions" : `regions, and ${review.toLocaleString()} for a review`}
      </Number>
      <Number name="Now" value={running.length === 0 ? NOTHING : `Round ${running[0]!.round}`}>
        {running.length === 0
          ? "no round is under way"
          : running.map((each) => <Phase key={each.round} running={each} more={each !== running[0]} />)}
      </Number>
    </dl>
  );
}

/** A campaign that is paused ends at no time. */
function Expected({ active, finish }: { active: boolean; finish: Progress["finish"] }) {
  return (
    <Number name="Expected finish" value={active && finish.at !== null ? day(finish.at) : NOTHING}>
      {active ? finish.sentence : "The campaign is paused."}
    </Number>
  );
}

interface NumberProps {
  readonly name: string;
  readonly value: string;
  readonly children: ComponentChildren;
}

function Number({ name, value, children }: NumberProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
      <dd class="hint">{children}</dd>
    </div>
  );
}

function Phase({ running, more }: { running: Running; more: boolean }) {
  return (
    <span class="phase">
      {more && `Round ${running.round}: `}
      {phase(running)}
      {running.since !== null && `, since ${moment(running.since)}`}
    </span>
  );
}

/** A moment to come, whose day matters. */
function day(text: string): string {
  const today = new Date(text).toDateString() === new Date().toDateString();
  return today ? `Today, ${moment(text)}` : moment(text);
}

/** What is being done for a round. */
export function phase({ state, size, labelled, review, skipped }: Running): string {
  if (state === "scoring") return "scoring candidates";
  if (state === "labelled") return "learning";
  const more = [
    [review, "in review"],
    [skipped, "skipped"],
  ].flatMap(([count, says]) => (count === 0 ? [] : [`${count} ${says}`]));
  return [`open, ${labelled} of ${size} labelled`, ...more].join(", ");
}
