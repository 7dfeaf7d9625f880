/**
 * How many tasks a worker does at once, by how many wait: between a least and a most number.
 *
 * Work waits if somebody who knows of some waits in line for a slot. When that goes on for a while the slots become more
 * by half; when they have not all been in use for a long while they become as few as were needed. The two whiles
 * differ so much that the number does not swing. While the event loop itself is behind, more slots would only make all
 * of them slower, so it stays as it is. As long as there is the least number and nothing waits, no timer runs.
 */
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { sleep } from "../nursery/index.ts";
import type { Slots } from "./slots.ts";

/** How often it is looked at; work that waits at two looks in a row gets more slots. */
export const LOOK_EVERY_MS = 500;
/** For how long slots must have been free before they become fewer. */
export const CALM_MS = 30_000;
/** A look that comes so much too late means that the event loop is behind. */
export const BEHIND_MS = 250;
/** How much more at once. */
const GROWTH = 1.5;

/** What a {@link Scaler} needs. */
export interface ScalerOptions {
  readonly slots: Slots;
  readonly min: number;
  readonly max: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Sets the limit of slots. */
export class Scaler {
  readonly #options: ScalerOptions;
  #waitedBefore = false;
  /** Since when not all slots have been in use, and how many were at most since then. */
  #calmSinceMs = 0;
  #needed = 0;

  constructor(options: ScalerOptions) {
    this.#options = options;
  }

  /** Looks and sets until the enclosing scope is cancelled. */
  async run(): Promise<never> {
    const { slots, min, clock } = this.#options;
    for (;;) {
      if (slots.limit === min) await slots.untilWaitedFor();
      const dueMs = clock.now() + LOOK_EVERY_MS;
      await sleep(LOOK_EVERY_MS);
      this.#look(clock.now() - dueMs);
    }
  }

  #look(lateMs: number): void {
    const { slots, max, clock } = this.#options;
    const waits = slots.isWaitedFor;
    const peak = slots.takePeak();
    if (waits || peak >= slots.limit) {
      this.#calmSinceMs = clock.now();
      this.#needed = 0;
    } else this.#needed = Math.max(this.#needed, peak);
    if (waits && this.#waitedBefore && lateMs < BEHIND_MS) this.#set(Math.ceil(slots.limit * GROWTH), max);
    else if (clock.now() - this.#calmSinceMs >= CALM_MS) {
      this.#set(this.#needed, max);
      this.#calmSinceMs = clock.now();
      this.#needed = 0;
    }
    this.#waitedBefore = waits;
  }

  #set(wanted: number, max: number): void {
    const { slots, min, logger } = this.#options;
    const limit = Math.min(Math.max(wanted, min), max);
    if (limit === slots.limit) return;
    logger.info({ slots: limit, before: slots.limit }, "the worker does another number of tasks at once");
    slots.limit = limit;
  }
}
