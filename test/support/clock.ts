/** Virtual time: {@link TestClock.jump} by hand, or {@link TestClock.autojump} to the next timer whenever the program is idle. */
import type { Clock } from "../../src/clock.ts";

/** A clock that stands still until it is told to move. */
export class TestClock implements Clock {
  #now = 0;
  #epochOffset: number;
  readonly #timers = new Set<{ readonly at: number; readonly fn: () => void }>();

  constructor(epochMs = 1_700_000_000_000) {
    this.#epochOffset = epochMs;
  }

  now(): number {
    return this.#now;
  }

  epochMs(): number {
    return this.#epochOffset + this.#now;
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  schedule(fn: () => void, delayMs: number): () => void {
    const timer = { at: this.#now + Math.max(0, delayMs), fn };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Moves time on by `ms` and fires what falls due, in order. */
  jump(ms: number): void {
    const until = this.#now + ms;
    for (let timer = this.#next(); timer && timer.at <= until; timer = this.#next()) {
      this.#timers.delete(timer);
      this.#now = timer.at;
      timer.fn();
    }
    this.#now = until;
  }

  /** Moves only the wall clock, as an administrator or NTP may do. */
  shiftEpoch(ms: number): void {
    this.#epochOffset += ms;
  }

  /** Runs `work` to its end, jumping to the next timer whenever nothing else can run. */
  async autojump<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const end = (): void => {
      done = true;
    };
    work.then(end, end);
    for (;;) {
      await settled();
      if (done) return work;
      const timer = this.#next();
      if (timer) this.jump(timer.at - this.#now);
    }
  }

  #next(): { readonly at: number; readonly fn: () => void } | undefined {
    let next: { readonly at: number; readonly fn: () => void } | undefined;
    for (const timer of this.#timers) if (!next || timer.at < next.at) next = timer;
    return next;
  }
}

/** Lets everything runnable run: several full turns of the event loop. */
export async function settled(turns = 4): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
