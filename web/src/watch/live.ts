/** What is shown is what is: looked at again whenever the service says that it has changed. */

import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ApiError, apiUrl, isRefused, Unreachable } from "../api/client";

const EVERY_MILLISECONDS = 3000;
const TRY_AGAIN_MILLISECONDS = 30_000;

/** What of a project may change. */
export type Subject = "project" | "rounds" | "regions" | "jobs" | "workers";

type Look = (signal: AbortSignal) => Promise<void>;

/**
 * Looks now, and again whenever one of the subjects has changed, or nobody answered; returns why it could not the last time.
 * Of no project (null) no changes are heard.
 */
export function useLive(project: number | null, subjects: readonly Subject[], look: Look): Signal<string | null> {
  const trouble = useSignal<string | null>(null);
  const newest = useRef(look);
  newest.current = look;
  useEffect(() => follow(project, subjects, (signal) => newest.current(signal), trouble), [project, subjects.join()]);
  return trouble;
}

/** As `useLive`, until the function that is returned is called. */
export function follow(
  project: number | null,
  subjects: readonly Subject[],
  look: Look,
  trouble: Signal<string | null>,
): () => void {
  const stopped = new AbortController();
  let waiting = 0;
  const once = async () => {
    clearTimeout(waiting);
    try {
      await look(stopped.signal);
      if (!stopped.signal.aborted) trouble.value = null;
    } catch (error) {
      if (stopped.signal.aborted) return;
      trouble.value = error instanceof Error ? error.message : String(error);
      if (error instanceof Unreachable || (error instanceof ApiError && error.passing)) later();
    }
  };
  const again = oneAtATime(once, stopped.signal);
  const later = () => {
    waiting = window.setTimeout(() => (isSeen() ? again() : later()), EVERY_MILLISECONDS);
  };
  again();
  const leave = project === null ? () => undefined : listen(project, { subjects, again });
  return () => {
    leave();
    clearTimeout(waiting);
    stopped.abort();
  };
}

function isSeen(): boolean {
  return document.visibilityState === "visible";
}

/** Who is called while it works works once more afterwards, however often it was called. */
function oneAtATime(work: () => Promise<void>, stopped: AbortSignal): () => void {
  let [working, wanted] = [false, false];
  const begin = async () => {
    wanted = true;
    if (working) return;
    working = true;
    while (wanted && !stopped.aborted) {
      wanted = false;
      await work();
    }
    working = false;
  };
  return () => void begin();
}

interface Listener {
  readonly subjects: readonly Subject[];
  readonly again: () => void;
}

const channels = new Map<number, Channel>();

function listen(project: number, listener: Listener): () => void {
  const channel = channels.get(project) ?? new Channel(project);
  channels.set(project, channel);
  channel.listeners.add(listener);
  return () => {
    channel.listeners.delete(listener);
    if (channel.listeners.size > 0) return;
    channel.close();
    channels.delete(project);
  };
}

/** One stream of a project for all who listen, while the page is seen. Where there is none, all look now and then. */
class Channel {
  readonly listeners = new Set<Listener>();
  private source: EventSource | null = null;
  private polling = 0;
  private waiting = 0;

  private readonly path: string;

  constructor(project: number) {
    this.path = `/projects/${project}/live`;
    document.addEventListener("visibilitychange", this.turn);
    if (isSeen()) this.open();
  }

  close(): void {
    document.removeEventListener("visibilitychange", this.turn);
    this.pause();
  }

  /** A page that nobody sees holds no connection: browsers allow few. */
  private readonly turn = (): void => {
    this.pause();
    if (!isSeen()) return;
    this.open();
    this.tell(null);
  };

  private open(): void {
    const source = new EventSource(apiUrl(this.path));
    this.source = source;
    this.poll(true); // until something is heard: a proxy may hold the stream back
    source.addEventListener("listening", () => {
      this.poll(false);
      this.tell(null);
    });
    source.addEventListener("changed", (event: MessageEvent<string>) =>
      this.tell((JSON.parse(event.data) as { subjects: Subject[] }).subjects),
    );
    source.addEventListener("error", () => {
      this.poll(true);
      if (source.readyState === EventSource.CLOSED) void this.closedBy(source); // else the browser tries again by itself
    });
  }

  /** The stream was refused: to who may not hear it for good, and then nothing else is asked for either. */
  private async closedBy(source: EventSource): Promise<void> {
    const refused = await isRefused(this.path);
    if (this.source !== source) return;
    if (refused) this.poll(false);
    else this.waiting = window.setTimeout(() => this.open(), TRY_AGAIN_MILLISECONDS);
  }

  private pause(): void {
    this.source?.close();
    this.source = null;
    this.poll(false);
    clearTimeout(this.waiting);
  }

  private poll(wanted: boolean): void {
    if (wanted === this.polling > 0) return;
    clearInterval(this.polling);
    this.polling = wanted ? window.setInterval(() => this.tell(null), EVERY_MILLISECONDS) : 0;
  }

  /** Has those look whom one of the subjects concerns; null: anything may have changed. */
  private tell(subjects: readonly Subject[] | null): void {
    for (const each of this.listeners) {
      if (subjects === null || each.subjects.some((subject) => subjects.includes(subject))) each.again();
    }
  }
}
