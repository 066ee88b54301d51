/** What is fetched until it is there: by itself, ever later, and at once when somebody says so. */

import { batch, signal } from "@preact/signals";

const FIRST_MILLISECONDS = 2000;
const LONGEST_MILLISECONDS = 60_000;

export class Fetching<T> {
  readonly found = signal<T | null>(null);
  /** Whether it could not be fetched the last time. */
  readonly failed = signal(false);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private tries = 0;
  private closed = false;

  constructor(private readonly fetched: () => Promise<T>) {}

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
  }

  readonly again = async (): Promise<void> => {
    clearTimeout(this.timer);
    try {
      const found = await this.fetched();
      batch(() => {
        this.found.value = found;
        this.failed.value = false;
      });
    } catch {
      this.failed.value = true;
      if (this.closed) return;
      const wait = Math.min(LONGEST_MILLISECONDS, FIRST_MILLISECONDS * 2 ** this.tries++);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => void this.again(), wait);
    }
  };
}
