/** Time as a value, so that a test can own it. */

/** Where everything that waits takes its time from. */
export interface Clock {
  /** Milliseconds from an arbitrary start that never go backwards: for deadlines and durations. */
  now(): number;
  /** Milliseconds since 1970, as the machine believes: for instants that are stored or sent. */
  epochMs(): number;
  /** Calls `fn` once after `delayMs`; the returned function calls it off. */
  schedule(fn: () => void, delayMs: number): () => void;
}

/** The longest delay Node's timers take; a longer one would fire at once. */
const MAX_TIMER_MS = 0x7fffffff;

/** The machine's own clocks. */
export const systemClock: Clock = {
  now: () => performance.now(),
  epochMs: () => Date.now(),
  schedule(fn, delayMs) {
    const timer = setTimeout(fn, Math.min(Math.max(delayMs, 0), MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
};
