/** What a job says while it goes on. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ask, type Schemas } from "../api/client";
import { useLive } from "./live";
import { moment } from "./job_words";

type Line = Schemas["JobLineOut"];

const AT_ONCE = 200;

/** Follows the end of the log, unless somebody has scrolled away from it. */
export function Log({ project, job }: { project: number; job: number }) {
  const lines = useSignal<readonly Line[] | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const trouble = useLive(project, ["jobs"], async (signal) => {
    for (let more = true; more;) {
      const after = lines.value?.at(-1)?.id ?? 0;
      const path = `/jobs/${job}/log?limit=${AT_ONCE}&after=${after}`;
      const page = await ask<Schemas["Page_JobLineOut_"]>("GET", path, { signal });
      if (page.items.length > 0 || lines.value === null) lines.value = [...(lines.value ?? []), ...page.items];
      more = page.next !== null;
    }
  });
  useEffect(() => {
    if (follows.current && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [lines.value]);
  const scrolled = ({ currentTarget: { scrollTop, clientHeight, scrollHeight } }: { currentTarget: Element }) => {
    follows.current = scrollTop + clientHeight > scrollHeight - 4;
  };
  if (trouble.value !== null) return <p class="warning">{trouble.value}</p>;
  if (lines.value?.length === 0) return <p class="hint">It has said nothing, or what it said is not kept any more.</p>;
  return (
    <div class="log" role="log" tabIndex={0} ref={box} onScroll={scrolled}>
      <ol>
        {lines.value?.map((line) => (
          <li key={line.id} class={line.level}>
            <time dateTime={line.at}>{moment(line.at)}</time> {line.text}
          </li>
        ))}
      </ol>
    </div>
  );
}
