/**
 * What a queue does when time passes: gives back expired leases, makes delayed tasks ready, deletes old ones.
 *
 * It sleeps until the next instant at which something falls due, and is woken when an earlier one comes up. Nothing
 * is polled; the longest sleep is bounded because instants are by the wall clock, which may be set.
 */
import type { Clock } from "../clock.ts";
import { errorFacts } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { rethrowIfCancelled } from "../nursery/index.ts";
import { boundedWait } from "./bounded-wait.ts";
import type { DueOutcome, TaskStore } from "./store.ts";

/** The longest sleep: how late something can fall due after the wall clock was set forward. */
export const MAX_SLEEP_MS = 30_000;
/** The shortest sleep, so that a store which cannot settle what is due does not take the whole processor. */
const MIN_SLEEP_MS = 5;
/** How long finished tasks stay readable, unless configured: a week, so that Monday can look at Friday. */
export const DEFAULT_RETENTION_MS: number = 7 * 24 * 3600 * 1000;
/** How often old tasks are looked for; an hour more hardly matters after a week. */
export const PRUNE_EVERY_MS = 3_600_000;
/** How many old tasks go in one transaction: few enough not to hold up a claim. */
export const PRUNE_BATCH = 200;
/** The pause between two batches, in which everybody else may use the store. */
const PRUNE_PAUSE_MS = 50;
/** The first pause after a failure of the store; it doubles up to {@link MAX_SLEEP_MS}. */
const FAILURE_PAUSE_MS = 500;

/** What a timekeeper works on and whom it tells. */
export interface TimekeeperOptions {
  readonly store: Pick<TaskStore, "settleDue" | "prune">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long finished tasks are kept, in milliseconds. */
  readonly retentionMs: number;
  /** Told what fell due, after the store has it. */
  readonly onDue: (outcome: DueOutcome) => void;
}

/** The background task of a queue. */
export class Timekeeper {
  readonly #options: TimekeeperOptions;
  /** The earliest instant that came up since the store was last asked. */
  #soonestMs = Number.POSITIVE_INFINITY;
  #wakeAtMs = Number.NEGATIVE_INFINITY;
  #ring: (() => void) | undefined;
  /** By the monotonic clock. */
  #pruneAt: number;
  #failures = 0;

  constructor(options: TimekeeperOptions) {
    this.#options = options;
    this.#pruneAt = options.clock.now();
  }

  /** Tells that something falls due at `atMs` (milliseconds since 1970). */
  dueAt(atMs: number): void {
    if (atMs < this.#soonestMs) this.#soonestMs = atMs;
    if (atMs < this.#wakeAtMs) this.#ring?.();
  }

  /** Works until it is cancelled. Begins with what fell due while nobody was there. */
  async run(): Promise<never> {
    for (;;) {
      const timeoutMs = await this.#work();
      const { clock } = this.#options;
      this.#wakeAtMs = clock.epochMs() + timeoutMs;
      await boundedWait({ clock, timeoutMs }, (ring) => {
        this.#ring = ring;
        if (this.#soonestMs < this.#wakeAtMs) ring();
        return () => {
          this.#ring = undefined;
        };
      });
    }
  }

  /** Does what is due. @returns how long nothing else will be, in milliseconds */
  async #work(): Promise<number> {
    try {
      const dueMs = await this.#settle();
      const pruneMs = await this.#prune();
      this.#failures = 0;
      return Math.min(Math.max(Math.min(dueMs, pruneMs), MIN_SLEEP_MS), MAX_SLEEP_MS);
    } catch (error) {
      rethrowIfCancelled(error);
      this.#failures++;
      this.#options.logger.error(
        { ...errorFacts(error), failures: this.#failures },
        "the queue could not settle what fell due; trying again",
      );
      // Whatever came up meanwhile waits for the pause too: the store would fail again.
      this.#soonestMs = Number.POSITIVE_INFINITY;
      return Math.min(FAILURE_PAUSE_MS * 2 ** Math.min(this.#failures - 1, 10), MAX_SLEEP_MS);
    }
  }

  async #settle(): Promise<number> {
    const { store, clock, onDue } = this.#options;
    this.#soonestMs = Number.POSITIVE_INFINITY;
    const outcome = await store.settleDue(clock.epochMs());
    onDue(outcome);
    const nextMs = outcome.nextDueMs ?? Number.POSITIVE_INFINITY;
    // What came up while the store was busy may not be in its answer.
    return Math.min(nextMs, this.#soonestMs) - clock.epochMs();
  }

  async #prune(): Promise<number> {
    const { store, clock, retentionMs } = this.#options;
    if (clock.now() >= this.#pruneAt) {
      const pruned = await store.prune(clock.epochMs() - retentionMs, PRUNE_BATCH);
      this.#pruneAt = clock.now() + (pruned < PRUNE_BATCH ? PRUNE_EVERY_MS : PRUNE_PAUSE_MS);
    }
    return this.#pruneAt - clock.now();
  }
}
