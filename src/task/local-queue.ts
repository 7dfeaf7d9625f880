/** What a queue in this process is made of, and what it can do beyond what a queue on a peer can. */
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Nursery } from "../nursery/index.ts";
import type { QueueListener } from "./hearers.ts";
import type { HeldClaim, HeldOutcome } from "./held.ts";
import type { CallOptions, ClaimedTask, ClaimRequest, Lease, TaskQueue } from "./queue.ts";
import type { HeldLease, TaskStore } from "./store.ts";

/** What a local queue is made of. */
export interface LocalQueueOptions {
  readonly store: TaskStore;
  /** Runs the queue's background task. */
  readonly nursery: Nursery;
  readonly clock: Clock;
  /** Default: silent. */
  readonly logger?: Logger | undefined;
  /** Spreads retries: numbers from 0 (included) to 1 (excluded). Default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** In whose name {@link LocalTaskQueue.queue} acts. Default `owner`. */
  readonly holder?: string | undefined;
  /** How long finished tasks are kept, in milliseconds. Default {@link DEFAULT_RETENTION_MS}. */
  readonly retentionMs?: number | undefined;
}

/** A queue in this process. */
export interface LocalTaskQueue {
  /** The queue as the node's owner sees it. */
  readonly queue: TaskQueue;
  /** The queue as `holder` (see `callerName`) sees it: leases are good only in the hands they were given to. */
  as(holder: string): TaskQueue;
  /**
   * Ends a task for a holder that presents no token: possible only under the task's first lease.
   *
   * @throws TaskNotFoundError, TaskFinishedError (also if repeated), LeaseTokenRequiredError, LeaseLostError
   */
  completeHeld(holder: string, taskId: string, outcome: HeldOutcome, options?: CallOptions): Promise<void>;
  /**
   * Does `act` under the lease in force for a holder that presents no token; see held.ts for whose it may be.
   *
   * @throws TaskNotFoundError, TaskFinishedError, LeaseTokenRequiredError, LeaseLostError, and what `act` throws
   */
  underHeldLease(
    claim: HeldClaim,
    act: (lease: Lease) => Promise<void>,
    options?: CallOptions,
  ): Promise<void>;
  /**
   * Leases the first task of a lane for `holder`, also of a lane that no claim matches (see routing.ts).
   *
   * @returns undefined if nothing is ready there
   */
  claimLane(
    holder: string,
    lane: string,
    request: Pick<ClaimRequest, "workerId" | "leaseMs">,
    options?: CallOptions,
  ): Promise<ClaimedTask | undefined>;
  /** The lease in force on a task and in whose hands it is; undefined if it is not running or unknown. */
  leaseOf(taskId: string): Promise<HeldLease | undefined>;
  /** Tells `listener` what happens to tasks, once it is on disk. @returns ends that */
  follow(listener: QueueListener): () => void;
  /**
   * Stops submitting, claiming and waiting, and ends the background task; those who wait get a `ShuttingDownError`,
   * because an empty answer would send them straight back. What is under lease can still be settled, so that
   * workers drain, until the store is closed. Idempotent; also happens when the nursery is cancelled.
   */
  stop(): Promise<void>;
}
