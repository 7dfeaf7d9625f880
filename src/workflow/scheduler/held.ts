/** The tasks that this node was given for its host, and the leases that are kept up for them. */
import type { Clock } from "../../clock.ts";
import { errorFacts, hasCode } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { moveOnAfter, rethrowIfCancelled, sleep, suspend } from "../../nursery/index.ts";
import type { Lease, TaskQueue } from "../../task/queue.ts";
import type { WorkflowTask } from "./task.ts";

/**
 * How long a task is kept for a host that does not say that it is done: a lease protects against a node that is gone,
 * and this against a host that has forgotten.
 */
export const HOLD_MS = 3_600_000;
/** How many tasks a node holds: its host cannot be at work on more. */
export const MAX_HELD = 1000;
/** A lease is renewed so often within its length, so that two renewals may be lost. */
const RENEWALS = 3;
/** How long one renewal may take. */
const RENEW_LIMIT_MS = 5000;

/** A task in this node's hands. */
export interface HeldTask {
  readonly task: WorkflowTask;
  /** Peer id of the node whose task it is. */
  readonly home: string;
  readonly lease: Lease;
  readonly queue: TaskQueue;
  /** By the node's monotonic clock. */
  readonly sinceMs: number;
}

/** What keeping leases up takes. */
export interface HeldOptions {
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly logger: Logger;
}

/** Everything in this node's hands. */
export class HeldTasks {
  readonly #options: HeldOptions;
  /** In the order in which they were given. */
  readonly #held = new Map<string, HeldTask>();
  #wake: (() => void) | undefined;

  constructor(options: HeldOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#held.size;
  }

  get isFull(): boolean {
    return this.#held.size >= MAX_HELD;
  }

  add(task: HeldTask): void {
    this.#held.set(keyOf(task), task);
    this.#wake?.();
  }

  /** The task of this id that was given first. @param home - whose it is, if the caller says */
  find(taskId: string, home?: string): HeldTask | undefined {
    for (const held of this.#held.values())
      if (held.task.taskId === taskId && (home === undefined || held.home === home)) return held;
    return undefined;
  }

  remove(task: HeldTask): void {
    this.#held.delete(keyOf(task));
  }

  list(): readonly HeldTask[] {
    return [...this.#held.values()];
  }

  /** Renews leases as long as it is not cancelled. */
  async keepUp(): Promise<never> {
    for (;;) {
      if (this.#held.size === 0) await this.#untilSome();
      await sleep(this.#options.leaseMs / RENEWALS);
      await Promise.all(this.list().map((held) => this.#renew(held)));
    }
  }

  async #untilSome(): Promise<void> {
    try {
      await suspend<void>((resume, fail) => {
        this.#wake = resume;
        return fail;
      });
    } finally {
      this.#wake = undefined;
    }
  }

  async #renew(held: HeldTask): Promise<void> {
    const { clock, leaseMs, logger } = this.#options;
    const facts = { taskId: held.task.taskId, home: held.home };
    if (clock.now() - held.sinceMs > HOLD_MS) {
      this.remove(held);
      logger.warn(facts, "a workflow task was not completed for too long; it goes to others");
      return;
    }
    try {
      await moveOnAfter(RENEW_LIMIT_MS, () => held.queue.renew(held.lease, leaseMs));
    } catch (error) {
      rethrowIfCancelled(error);
      if (hasCode(error, "E_LEASE_LOST")) {
        this.remove(held);
        logger.info(facts, "a workflow task is not in this node's hands any more");
      } else logger.debug({ ...facts, ...errorFacts(error) }, "a lease could not be renewed this time");
    }
  }
}

function keyOf({ home, lease }: HeldTask): string {
  return `${home} ${lease.taskId}`;
}
