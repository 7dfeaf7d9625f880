/**
 * One claimed task, from its claim to the acceptance of its result.
 *
 * Side by side run the handler, the renewal of the lease, the notes and, for work that takes longer, a wait at the queue
 * for the lease's end, by which a cancellation arrives at once. The lease is renewed until the result is accepted or
 * safe in the outbox. Whoever has lost the lease delivers nothing.
 *
 * All of that needs the event loop. A handler that holds it up for so long that renewals are late is told of in the
 * log. As soon as it lets go, the lease is renewed before anything else is done under it, and before the worker claims
 * anything, its own task least of all: a lease that ran out is as good as new if nobody else was given the task.
 */
import type { Clock } from "../clock.ts";
import { errorFacts, hasCode } from "../errors.ts";
import type { Logger } from "../logger.ts";
import {
  abandonOnCancel,
  abortable,
  type CancelScope,
  cancelScope,
  failAfter,
  type Nursery,
  openNursery,
  rethrowIfCancelled,
  shield,
  sleep,
} from "../nursery/index.ts";
import type { OutboxEntry } from "../task/outbox.ts";
import type { ClaimedTask, TaskQueue } from "../task/queue.ts";
import type { Handler } from "./handlers/handler.ts";
import { Notes } from "./notes.ts";
import { failureOf, verdictOf } from "./queue-failure.ts";

/** How often a lease is renewed while it holds: two renewals may be lost. */
const RENEWALS_PER_LEASE = 3;
/** A renewal that comes later than this part of a lease after the one before means that the event loop was held up. */
const LATE_PER_LEASE = 2 / 3;
/** Only work that takes longer than this is watched for a cancellation: short work ends by itself. */
const WATCH_AFTER_MS = 500;
/** How long one wait for the lease's end lasts: under the limits of the wires. */
const WATCH_WAIT_MS = 50_000;
/** How much later its answer may come. */
const WATCH_SLACK_MS = 10_000;
/** The pause after a wait that failed, or that told of an end which was none. */
const WATCH_PAUSE_MS = 1000;
/** How long a single message about a task may take. */
const CALL_LIMIT_MS = 10_000;
/** How long handing back or putting away may take when everything is being stopped. */
const LAST_LIMIT_MS = 5000;

/** Why a handler was stopped before it had a result. */
type StopReason = "lost" | "drained";

/** How a job ended, for the worker's statistics. */
export type JobEnd = "completed" | "failed" | "lost" | "released" | "outboxed";

/** What a job needs. */
export interface JobOptions {
  readonly claimed: ClaimedTask;
  readonly queue: TaskQueue;
  /** Undefined if the queue gave a task of a type that was not asked for. */
  readonly handler: Handler | undefined;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Delivers an outcome; says what became of it. Must not lose it when cancelled. */
  readonly deliver: (
    entry: Pick<OutboxEntry, "lease" | "outcome">,
  ) => Promise<"accepted" | "lost" | "outboxed">;
}

/** A task in work. */
export class Job {
  readonly #options: JobOptions;
  readonly #notes: Notes;
  #stopped: StopReason | undefined;
  /** There is a result, and it is the delivery's business not to lose it. */
  #delivering = false;
  #over = false;
  #scope: CancelScope | undefined;
  /** When the lease was last given or renewed, by the monotonic clock. */
  #renewedAtMs: number;

  constructor(options: JobOptions) {
    this.#options = options;
    this.#renewedAtMs = options.clock.now();
    this.#notes = new Notes(options.clock, (note) => this.#note(note));
  }

  /** The queue that it was claimed from. */
  get queue(): TaskQueue {
    return this.#options.queue;
  }

  /** Stops the handler; its task goes back to the queue. */
  drain(): void {
    this.#stop("drained");
  }

  /** Does the work and sees to the result. Never throws, but for a cancellation from outside, after handing back. */
  async run(): Promise<JobEnd> {
    let end: JobEnd = "released";
    try {
      await openNursery(async (nursery) => {
        nursery.startSoon(() => this.#keep(nursery), "renew");
        nursery.startSoon(() => this.#notes.run(), "notes");
        const outcome = await this.#work();
        // A lease that has run out counts for a renewal and for a result, but not for notes.
        if (outcome && this.overdueMs !== undefined) await this.renew();
        await this.#notes.flush();
        end = await this.#finish(outcome);
        nursery.cancel("the job is done");
      });
    } finally {
      this.#over = true;
      // Also when cancelled from outside before there was a result: then the worker is going away.
      if (end === "released" && !this.#delivering) await this.#handBack();
    }
    return end;
  }

  #stop(reason: StopReason): void {
    this.#stopped ??= reason;
    this.#scope?.cancel(reason);
  }

  /** @returns undefined if the handler was stopped */
  async #work(): Promise<OutboxEntry["outcome"] | undefined> {
    const { claimed, handler, logger } = this.#options;
    const { task } = claimed;
    if (!handler) return undefined;
    const done = await cancelScope(async (scope): Promise<OutboxEntry["outcome"]> => {
      this.#scope = scope;
      if (this.#stopped) scope.cancel(this.#stopped);
      try {
        const { signal } = scope;
        const progress = (patch: Parameters<Notes["progress"]>[0]): void => this.#notes.progress(patch);
        const log = (stream: string, message: string): void => this.#notes.log(stream, message);
        const onLate = (late: PromiseSettledResult<unknown>): void =>
          logger.debug({ taskId: task.id, late: late.status }, "a stopped handler has ended");
        const running = handler.run(task, { signal, attempt: task.attempt, progress, log });
        return { kind: "completed", result: await abandonOnCancel(running, onLate) };
      } catch (error) {
        rethrowIfCancelled(error);
        const failure = failureOf(error);
        logger.info(
          { taskId: task.id, type: task.type, attempt: task.attempt, ...failure.error },
          "a task failed",
        );
        return { kind: "failed", failure };
      }
    });
    // A handler that was stopped may have made something else of it.
    return this.#stopped ? undefined : done.value;
  }

  async #finish(outcome: OutboxEntry["outcome"] | undefined): Promise<JobEnd> {
    if (this.#stopped === "lost") return "lost";
    if (!outcome) return "released";
    const { lease } = this.#options.claimed;
    this.#delivering = true;
    const delivered = await this.#options.deliver({ lease, outcome });
    return delivered === "accepted" ? outcome.kind : delivered;
  }

  /**
   * Whether the lease should have been renewed before now. Then the event loop was held up, or the queue is away.
   *
   * @returns the milliseconds since it was given or renewed; undefined if all is well
   */
  get overdueMs(): number | undefined {
    const { clock, leaseMs } = this.#options;
    const sinceMs = clock.now() - this.#renewedAtMs;
    return sinceMs > leaseMs * LATE_PER_LEASE && !this.#over ? sinceMs : undefined;
  }

  /** Renews the lease now; what comes of it is dealt with here. */
  async renew(): Promise<void> {
    const { leaseMs, claimed, logger, queue } = this.#options;
    try {
      const renew = (signal: AbortSignal): Promise<number> => queue.renew(claimed.lease, leaseMs, { signal });
      await failAfter(leaseMs / RENEWALS_PER_LEASE, () => abortable(renew));
      this.#renewedAtMs = this.#options.clock.now();
    } catch (error) {
      rethrowIfCancelled(error);
      if (this.#isLost(error)) return;
      logger.debug(
        { taskId: claimed.task.id, ...errorFacts(error) },
        "a lease could not be renewed this time",
      );
    }
  }

  /** Renews three times a lease. After a while the lease's end is watched for as well. */
  async #keep(nursery: Nursery): Promise<void> {
    const { clock, leaseMs } = this.#options;
    const everyMs = leaseMs / RENEWALS_PER_LEASE;
    let dueMs = this.#renewedAtMs + everyMs;
    if (clock.now() < dueMs) await sleep(Math.min(WATCH_AFTER_MS, everyMs));
    nursery.startSoon(() => this.#watch(), "watch");
    for (;;) {
      const leftMs = dueMs - clock.now();
      if (leftMs > 0) await sleep(leftMs);
      this.#sayIfLate(clock.now() - dueMs);
      await this.renew();
      if (this.#stopped === "lost") return;
      dueMs = clock.now() + everyMs;
    }
  }

  #sayIfLate(lateMs: number): void {
    const { claimed, leaseMs, logger } = this.#options;
    if (lateMs < leaseMs / RENEWALS_PER_LEASE) return;
    const { id: taskId, type } = claimed.task;
    logger.warn(
      { taskId, type, lateMs: Math.round(lateMs), leaseMs },
      "the event loop was held up, and a lease is renewed late; work that computes for so long belongs into a process of its own",
    );
  }

  /** Waits for the end of the lease. Whether it is one, a renewal tells. */
  async #watch(): Promise<void> {
    const { claimed, clock, logger, queue } = this.#options;
    for (;;) {
      const askedAtMs = clock.now();
      try {
        const lost = await failAfter(WATCH_WAIT_MS + WATCH_SLACK_MS, () =>
          abortable((signal) => queue.lost(claimed.lease, WATCH_WAIT_MS, { signal })),
        );
        // What is delivered ends the lease as well.
        if (this.#delivering) return;
        if (lost) await this.renew();
        if (this.#stopped === "lost") return;
      } catch (error) {
        rethrowIfCancelled(error);
        // A peer that cannot tell; its renewals do.
        if (hasCode(error, "E_METHOD_NOT_FOUND") || hasCode(error, "E_NOT_SUPPORTED_BY_PEER")) return;
        logger.debug({ taskId: claimed.task.id, ...errorFacts(error) }, "a lease could not be watched");
      }
      await sleep(Math.max(0, WATCH_PAUSE_MS - (clock.now() - askedAtMs)));
    }
  }

  /** @returns false if it is worth another try */
  async #note(note: Parameters<TaskQueue["note"]>[1]): Promise<boolean> {
    const { claimed, logger, queue } = this.#options;
    if (this.overdueMs !== undefined) await this.renew();
    try {
      await failAfter(CALL_LIMIT_MS, () =>
        abortable((signal) => queue.note(claimed.lease, note, { signal })),
      );
      return true;
    } catch (error) {
      rethrowIfCancelled(error);
      if (this.#isLost(error)) return true;
      logger.debug({ taskId: claimed.task.id, ...errorFacts(error) }, "progress of a task could not be told");
      return verdictOf(error) === "refused";
    }
  }

  #isLost(error: unknown): boolean {
    if (verdictOf(error) !== "lost") return false;
    const { claimed, logger } = this.#options;
    const facts = { taskId: claimed.task.id, ...errorFacts(error) };
    const { overdueMs } = this;
    if (overdueMs === undefined) logger.info(facts, "a task is not ours any more; its work is stopped");
    else
      logger.warn(
        { ...facts, overdueMs },
        "a task is not ours any more, since its lease was not renewed in time",
      );
    this.#stop("lost");
    return true;
  }

  async #handBack(): Promise<void> {
    if (this.#stopped === "lost") return;
    const { claimed, handler, logger, queue } = this.#options;
    const reason = handler ? "the worker stops" : `no handler for '${claimed.task.type}' here`;
    try {
      await shield(LAST_LIMIT_MS, () =>
        abortable((signal) => queue.release(claimed.lease, reason, { signal })),
      );
    } catch (error) {
      // Its lease runs out by itself; then the task is claimed again.
      logger.warn({ taskId: claimed.task.id, ...errorFacts(error) }, "a task could not be handed back");
    }
  }
}
