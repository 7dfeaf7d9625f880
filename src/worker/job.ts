/**
 * One claimed task, from its claim to the acceptance of its result.
 *
 * Three things run side by side: the handler, the renewal of the lease, and the notes. The lease is renewed until the
 * result is accepted or safe in the outbox. Whoever has lost the lease delivers nothing.
 */
import type { Clock } from "../clock.ts";
import { errorFacts } from "../errors.ts";
import type { Logger } from "../logger.ts";
import {
  abandonOnCancel,
  abortable,
  type CancelScope,
  cancelScope,
  failAfter,
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
  #scope: CancelScope | undefined;

  constructor(options: JobOptions) {
    this.#options = options;
    this.#notes = new Notes(options.clock, (note) => this.#note(note));
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
        nursery.startSoon(() => this.#renewals(), "renew");
        nursery.startSoon(() => this.#notes.run(), "notes");
        const outcome = await this.#work();
        await this.#notes.flush();
        end = await this.#finish(outcome);
        nursery.cancel("the job is done");
      });
    } finally {
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

  async #renewals(): Promise<void> {
    const { leaseMs, claimed, logger, queue } = this.#options;
    for (;;) {
      await sleep(leaseMs / RENEWALS_PER_LEASE);
      try {
        const renew = (signal: AbortSignal): Promise<number> =>
          queue.renew(claimed.lease, leaseMs, { signal });
        await failAfter(leaseMs / RENEWALS_PER_LEASE, () => abortable(renew));
      } catch (error) {
        rethrowIfCancelled(error);
        if (this.#isLost(error)) return;
        logger.debug(
          { taskId: claimed.task.id, ...errorFacts(error) },
          "a lease could not be renewed this time",
        );
      }
    }
  }

  /** @returns false if it is worth another try */
  async #note(note: Parameters<TaskQueue["note"]>[1]): Promise<boolean> {
    const { claimed, logger, queue } = this.#options;
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
    logger.info(
      { taskId: claimed.task.id, ...errorFacts(error) },
      "a task is not ours any more; its work is stopped",
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
