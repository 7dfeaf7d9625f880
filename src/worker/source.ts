/** One queue that a worker claims from: a loop of long polls that survives the queue's absence. */
import type { Clock } from "../clock.ts";
import { errorFacts } from "../errors.ts";
import type { Logger } from "../logger.ts";
import {
  abortable,
  type CancelScope,
  cancelScope,
  failAfter,
  moveOnAfter,
  rethrowIfCancelled,
  shield,
  sleep,
  suspend,
} from "../nursery/index.ts";
import { type ClaimedTask, MAX_CLAIM_BATCH, MAX_SKILLS, type TaskQueue } from "../task/queue.ts";
import type { Slots } from "./slots.ts";

/** How long a claim waits at the queue: under the limits of the wires, and long enough to cost nothing. */
const CLAIM_WAIT_MS = 25_000;
/** A queue that has not answered after this much more is taken for gone. */
const CLAIM_SLACK_MS = 10_000;
/** An empty answer that comes sooner was no wait: the queue cannot, so it is asked at this pace. */
const POLL_PAUSE_MS = 500;
/** Pauses between claims from a queue that is away: the first at most, and the longest. */
const RETRY_BASE_MS = 250;
const RETRY_CAP_MS = 15_000;
/** How long handing back tasks that there is no room for may take. */
const RELEASE_LIMIT_MS = 5000;

/** A queue by the name that its results carry in the outbox. */
export interface QueueSource {
  /** `local`, or a peer id. */
  readonly name: string;
  readonly queue: TaskQueue;
}

/** What became of the tasks of one source. */
export interface SourceStats {
  readonly state: "up" | "down";
  readonly claimed: number;
  readonly completed: number;
  readonly failed: number;
  readonly lost: number;
  readonly released: number;
  /** Results that had to be put away for later. */
  readonly outboxed: number;
}

/** What a claim loop needs. */
export interface ClaimLoopOptions {
  readonly source: QueueSource;
  readonly slots: Slots;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly workerId: string;
  readonly types: readonly string[];
  readonly skills: () => readonly string[];
  readonly leaseMs: number;
  /** Told after each claim that was answered. */
  readonly onAnswer: () => void;
  /** Starts work on a task, for which a slot has been taken. */
  readonly begin: (claimed: ClaimedTask) => void;
}

/** Claims from one source. */
export class ClaimLoop {
  readonly source: QueueSource;
  readonly #options: ClaimLoopOptions;
  #scope: CancelScope | undefined;
  #poll: CancelScope | undefined;
  #wake: (() => void) | undefined;
  #stopped = false;
  #failures = 0;
  /** The last answer brought nothing. */
  #empty = false;
  /** Of the tasks claimed here. */
  readonly counts = { claimed: 0, completed: 0, failed: 0, lost: 0, released: 0, outboxed: 0 };

  constructor(options: ClaimLoopOptions) {
    this.source = options.source;
    this.#options = options;
  }

  get stats(): SourceStats {
    return { state: this.#failures === 0 ? "up" : "down", ...this.counts };
  }

  /** Claims until {@link stop}. */
  async run(): Promise<void> {
    await cancelScope(async (scope) => {
      this.#scope = scope;
      if (this.#stopped) scope.cancel("no more claims");
      for (;;) {
        await this.#options.slots.until((slots) => slots.free > 0);
        // Another source may have been quicker since.
        const limit = Math.min(this.#options.slots.free, MAX_CLAIM_BATCH);
        if (limit > 0) await this.#claimOnce(limit);
      }
    });
  }

  /** Ends the loop; a claim under way is given up, and what it still brings is handed back. */
  stop(): void {
    this.#stopped = true;
    this.#scope?.cancel("no more claims");
  }

  /** Claims anew: the skills have changed, or the queue is known to be back. */
  refresh(): void {
    this.#poll?.cancel("claiming anew");
    this.#wake?.();
  }

  async #claimOnce(limit: number): Promise<void> {
    const { clock, onAnswer } = this.#options;
    const askedAt = clock.now();
    try {
      const polled = await cancelScope(async (poll) => {
        this.#poll = poll;
        await this.#dealOut(
          await failAfter(CLAIM_WAIT_MS + CLAIM_SLACK_MS, () =>
            abortable((signal) => this.#claim(limit, signal)),
          ),
        );
      });
      if (!polled.ok) return;
      this.#answered();
      onAnswer();
      if (clock.now() - askedAt < POLL_PAUSE_MS && this.#empty) await sleep(POLL_PAUSE_MS);
    } catch (error) {
      rethrowIfCancelled(error);
      await this.#failed(error);
    } finally {
      this.#poll = undefined;
    }
  }

  #claim(limit: number, signal: AbortSignal): Promise<readonly ClaimedTask[]> {
    const { source, workerId, types, skills, leaseMs } = this.#options;
    const request = {
      workerId,
      types,
      skills: skills().slice(0, MAX_SKILLS),
      limit,
      waitMs: CLAIM_WAIT_MS,
      leaseMs,
    };
    return source.queue.claim(request, { signal });
  }

  async #dealOut(claimed: readonly ClaimedTask[]): Promise<void> {
    this.#empty = claimed.length === 0;
    this.counts.claimed += claimed.length;
    const excess: ClaimedTask[] = [];
    for (const task of claimed) {
      if (!this.#stopped && this.#options.slots.take()) this.#options.begin(task);
      else excess.push(task);
    }
    if (excess.length > 0) await shield(RELEASE_LIMIT_MS, () => this.#release(excess));
  }

  async #release(excess: readonly ClaimedTask[]): Promise<void> {
    const { source, logger } = this.#options;
    const reason = this.#stopped ? "the worker stops" : "the worker has no room left";
    const released = await abortable((signal) =>
      Promise.allSettled(excess.map((one) => source.queue.release(one.lease, reason, { signal }))),
    );
    this.counts.released += excess.length;
    const failed = released.find((one) => one.status === "rejected");
    if (failed)
      logger.warn(
        { source: source.name, ...errorFacts(failed.reason) },
        "tasks could not be handed back; their leases run out",
      );
  }

  #answered(): void {
    if (this.#failures > 0)
      this.#options.logger.info(
        { source: this.source.name, failures: this.#failures },
        "a queue answers again",
      );
    this.#failures = 0;
  }

  async #failed(error: unknown): Promise<void> {
    const { source, logger, random } = this.#options;
    this.#failures++;
    if (this.#failures === 1)
      logger.warn(
        { source: source.name, ...errorFacts(error) },
        "a queue does not answer; it is tried again",
      );
    const ceiling = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** (this.#failures - 1));
    await moveOnAfter(ceiling * (0.5 + random() / 2), () => this.#untilWoken());
  }

  async #untilWoken(): Promise<void> {
    await suspend<void>((resume, fail) => {
      this.#wake = resume;
      return fail;
    });
  }
}
