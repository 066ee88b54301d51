/** Time spent on a region: what passes without a sign of the person for long is idle, and counted apart. */

export const IDLE_AFTER = 30;

export class Stopwatch {
  private last: number | null = null;

  constructor(
    private active = 0,
    private idle = 0,
    private readonly now: () => number = () => performance.now() / 1000,
  ) {}

  get activeSeconds(): number {
    return this.active;
  }

  get idleSeconds(): number {
    return this.idle;
  }

  /** The person did something. */
  tick(): void {
    const now = this.now();
    if (this.last !== null) {
      const passed = now - this.last;
      if (passed > IDLE_AFTER) this.idle += passed;
      else this.active += passed;
    }
    this.last = now;
  }

  /** Time stops until the next tick: another region is worked on. */
  pause(): void {
    this.tick();
    this.last = null;
  }
}
