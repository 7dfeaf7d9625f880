/**
 * Keeps the runs of a store going: takes those that nobody conducts, conducts each, and renews its word for them.
 *
 * Nothing is polled. It looks when a run is started or changed, here or elsewhere, and when the word of another
 * conductor runs out.
 */
import type { Clock } from "../../clock.ts";
import { errorFacts, hasCode } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { CancelScope, type Nursery, openNursery, rethrowIfCancelled } from "../../nursery/index.ts";
import { boundedWait, pause } from "../../task/bounded-wait.ts";
import { Conduct, type ConductOptions } from "./conduct.ts";
import {
  CONDUCTOR_LEASE_MS,
  CONDUCTOR_RENEW_MS,
  FIRST_PAUSE_MS,
  MAX_CONDUCTED,
  MAX_PAUSE_MS,
  PRUNE_EVERY_MS,
  PRUNE_RUNS,
} from "./limits.ts";
import type { ConductorName } from "./store.ts";

/** What a conductor needs. */
export interface ConductorOptions extends Omit<ConductOptions, "instance"> {
  readonly who: ConductorName;
  readonly logger: Logger;
  /** How long ended runs are kept, in milliseconds. */
  readonly retentionMs: number;
}

interface Held {
  readonly conduct: Conduct;
  readonly scope: CancelScope;
  /** The length of its log as this conductor knows it. */
  length: number;
  /** It was given to us once more while it was being let go. */
  again: boolean;
}

/** The conductor of one process. */
export class Conductor {
  readonly #options: ConductorOptions;
  readonly #clock: Clock;
  readonly #held = new Map<string, Held>();
  /** By the monotonic clock. */
  #renewAt = 0;
  #pruneAt: number;
  /** By the wall clock. */
  #freeAtMs: number | undefined;
  #look = true;
  #surveyDue = false;
  #failures = 0;
  #ring: (() => void) | undefined;

  constructor(options: ConductorOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#pruneAt = options.clock.now();
  }

  /** Works until it is cancelled. */
  async run(): Promise<void> {
    const { store, bells } = this.#options;
    const undo = [
      store.onForeignChange(() => this.#foreign()),
      // A run of ours tells of its own changes, too, which is no reason to look for others.
      bells.listen((runId) => this.#changed(runId)),
    ];
    try {
      await openNursery(async (nursery) => {
        for (;;) {
          const timeoutMs = await this.#work(nursery);
          await boundedWait({ clock: this.#clock, timeoutMs }, (ring) => {
            this.#ring = ring;
            if (this.#look || this.#surveyDue) ring();
            return () => {
              this.#ring = undefined;
            };
          });
        }
      });
    } finally {
      for (const step of undo) step();
    }
  }

  #foreign(): void {
    this.#look = true;
    this.#surveyDue = true;
    this.#ring?.();
  }

  #changed(runId: string | undefined): void {
    if (runId !== undefined && this.#held.has(runId)) return;
    this.#look = true;
    this.#ring?.();
  }

  /** Tells that somebody in this process has added to a run's log. */
  grown(runId: string): void {
    const held = this.#held.get(runId);
    if (held) held.conduct.grown();
    else this.#changed(runId);
  }

  /** Looks at what there is to do. @returns how long there will be nothing else, in milliseconds */
  async #work(nursery: Nursery): Promise<number> {
    try {
      await this.#renew();
      await this.#survey();
      await this.#take(nursery);
      await this.#prune();
      this.#failures = 0;
    } catch (error) {
      rethrowIfCancelled(error);
      this.#failures += 1;
      this.#options.logger.error(
        { ...errorFacts(error), failures: this.#failures },
        "workflow runs could not be looked at; trying again",
      );
      await pause({ clock: this.#clock, timeoutMs: pauseMs(this.#failures) });
      return 0;
    }
    const untilFreeMs =
      this.#freeAtMs === undefined ? Number.POSITIVE_INFINITY : this.#freeAtMs - this.#clock.epochMs() + 1;
    const untilRenewMs = this.#held.size === 0 ? Number.POSITIVE_INFINITY : this.#renewAt - this.#clock.now();
    return Math.max(0, Math.min(untilFreeMs, untilRenewMs, this.#pruneAt - this.#clock.now()));
  }

  async #renew(): Promise<void> {
    if (this.#held.size === 0 || this.#clock.now() < this.#renewAt) return;
    const { store, who } = this.#options;
    const before = [...this.#held];
    const still = new Set(await store.renew(who.instance, this.#clock.epochMs() + CONDUCTOR_LEASE_MS));
    this.#renewAt = this.#clock.now() + CONDUCTOR_RENEW_MS;
    // A run that has just ended is not renewed either; cancelling its end does no harm, as all of it is written.
    for (const [runId, { scope }] of before)
      if (!still.has(runId) && this.#held.has(runId)) scope.cancel("lost");
  }

  async #survey(): Promise<void> {
    if (!this.#surveyDue) return;
    this.#surveyDue = false;
    const { store, who } = this.#options;
    for (const { runId, length } of await store.survey(who.instance)) {
      const held = this.#held.get(runId);
      if (!held || held.length === length) continue;
      held.length = length;
      held.conduct.grown();
    }
  }

  async #take(nursery: Nursery): Promise<void> {
    const isFree = this.#freeAtMs !== undefined && this.#freeAtMs <= this.#clock.epochMs();
    const room = MAX_CONDUCTED - this.#held.size;
    if ((!this.#look && !isFree) || room <= 0) return;
    this.#look = false;
    const { store, who } = this.#options;
    const nowMs = this.#clock.epochMs();
    const { runIds, nextFreeMs } = await store.take(who, nowMs + CONDUCTOR_LEASE_MS, room, nowMs);
    this.#freeAtMs = nextFreeMs;
    if (runIds.length > 0 && this.#held.size === 0) this.#renewAt = this.#clock.now() + CONDUCTOR_RENEW_MS;
    for (const runId of runIds) {
      const held = this.#held.get(runId);
      if (held) held.again = true;
      else this.#start(runId, nursery);
    }
  }

  #start(runId: string, nursery: Nursery): void {
    const scope = new CancelScope();
    const conduct = new Conduct(runId, { ...this.#options, instance: this.#options.who.instance });
    const held: Held = { conduct, scope, length: -1, again: false };
    this.#held.set(runId, held);
    nursery.startSoon(async () => {
      try {
        await scope.run(() => this.#conductAlways(runId, conduct));
      } finally {
        this.#held.delete(runId);
        if (held.again) this.#start(runId, nursery);
        // There may be one that waits for room, or this one again: retried while it was let go.
        this.#look = true;
        this.#ring?.();
      }
    }, `run ${runId}`);
  }

  /** Conducts a run to its end, again and again if it fails on the way, as long as it is ours. */
  async #conductAlways(runId: string, conduct: Conduct): Promise<void> {
    for (let failures = 1; ; failures++) {
      try {
        await conduct.toEnd();
        return;
      } catch (error) {
        rethrowIfCancelled(error);
        if (hasCode(error, "E_CONDUCTOR_LOST") || hasCode(error, "E_RUN_NOT_FOUND")) return;
        if (!hasCode(error, "E_SHUTTING_DOWN"))
          this.#options.logger.error(
            { runId, failures, err: error, ...errorFacts(error) },
            "a workflow run could not be conducted; trying again",
          );
        await pause({ clock: this.#clock, timeoutMs: pauseMs(failures) });
      }
    }
  }

  async #prune(): Promise<void> {
    if (this.#clock.now() < this.#pruneAt) return;
    const { store, retentionMs } = this.#options;
    const pruned = await store.prune(this.#clock.epochMs() - retentionMs, PRUNE_RUNS);
    this.#pruneAt = this.#clock.now() + (pruned < PRUNE_RUNS ? PRUNE_EVERY_MS : FIRST_PAUSE_MS);
  }
}

function pauseMs(failures: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10), MAX_PAUSE_MS);
}
