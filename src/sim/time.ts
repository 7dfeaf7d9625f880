/** Virtual time: one timeline for all peers, and the clocks by which each of them sees it. */
import type { Clock } from "../clock.ts";
import { Heap } from "../store/index.ts";

/** The instant at which every simulation begins, in milliseconds since 1970. */
const BEGIN_EPOCH_MS = 1_700_000_000_000;

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
  off: boolean;
}

/** The timeline. It stands still until {@link next} is called, so computing takes no time. */
export class Timeline {
  readonly #events = new Heap<Event>((a, b) => (a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs));
  #nowMs = 0;
  #order = 0;

  /** Milliseconds since the beginning. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Calls `fire` once, `delayMs` from now. @returns calls it off */
  at(delayMs: number, fire: () => void): () => void {
    const event = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fire, off: false };
    this.#events.push(event);
    return () => {
      event.off = true;
    };
  }

  /** Goes on to the next event, unless that is after `untilMs`. @returns whether there was one */
  next(untilMs: number): boolean {
    for (let event = this.#events.peek(); event && event.atMs <= untilMs; event = this.#events.peek()) {
      this.#events.pop();
      if (event.off) continue;
      this.#nowMs = event.atMs;
      event.fire();
      return true;
    }
    return false;
  }
}

/**
 * The clock of one process. Its wall clock may be wrong and may jump; while the process is paused none of its timers
 * fires, and once it has crashed none ever does.
 */
export class PeerClock implements Clock {
  readonly #timeline: Timeline;
  readonly #wall: { skewMs: number };
  #state: "running" | "paused" | "dead" = "running";
  #late: (() => void)[] = [];

  /** @param wall - how far the wall clock of the machine is off, in milliseconds; it outlives the process */
  constructor(timeline: Timeline, wall: { skewMs: number }) {
    this.#timeline = timeline;
    this.#wall = wall;
  }

  get isDead(): boolean {
    return this.#state === "dead";
  }

  now(): number {
    return this.#timeline.nowMs;
  }

  epochMs(): number {
    return BEGIN_EPOCH_MS + this.#timeline.nowMs + this.#wall.skewMs;
  }

  schedule(fn: () => void, delayMs: number): () => void {
    let off = false;
    const cancel = this.#timeline.at(delayMs, () =>
      this.whenRunning(() => {
        if (!off) fn();
      }),
    );
    return () => {
      off = true;
      cancel();
    };
  }

  /** Does `fn` now, or when the pause is over, or never. */
  whenRunning(fn: () => void): void {
    if (this.#state === "running") fn();
    else if (this.#state === "paused") this.#late.push(fn);
  }

  pause(): void {
    if (this.#state === "running") this.#state = "paused";
  }

  resume(): void {
    if (this.#state !== "paused") return;
    this.#state = "running";
    for (const fn of this.#late.splice(0)) fn();
  }

  /** Ends the process. */
  kill(): void {
    this.#state = "dead";
    this.#late = [];
  }
}
