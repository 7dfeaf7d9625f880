/**
 * What an engine must offer to hold a queue.
 *
 * Every call is atomic, and durable when it resolves (as durable as the engine is). The engine keeps no time of
 * its own: every method that depends on time is given `nowMs`. Calls made at the same time may share one commit;
 * one that fails does not spoil the others. The rules of the queue that are not about storage (validation, waiting,
 * timers) are in local.ts.
 */
import type { JsonObject } from "../content/json.ts";
import type { Lease, QueueStats, SubmitReceipt, TaskFilter, TaskNote, TaskPage } from "./queue.ts";
import type { Task, TaskError } from "./task.ts";

/** A validated task, ready to be stored. */
export interface TaskDraft {
  readonly id: string;
  readonly type: string;
  readonly modelName: string;
  readonly payload: JsonObject;
  readonly priority: number;
  readonly maxAttempts: number;
  /** Claimable from this instant on; absent means at once. */
  readonly notBeforeMs?: number | undefined;
  readonly idempotencyKey?: string | undefined;
  /** Digest of what the work is, to tell a repeated submit from a conflicting one. */
  readonly digest: string;
  /** Where it waits: see routing.ts. A claim takes the best head of the lanes it matches. */
  readonly lane: string;
}

/** A claim, with everything decided but which task. */
export interface StoreClaim {
  readonly workerId: string;
  /** The authenticated name of the claimer; a lease is only good in its hands. */
  readonly holder: string;
  /** Whether tasks of a lane suit the worker. Called once for each lane that has a ready task. */
  readonly takes: (lane: string) => boolean;
  readonly limit: number;
  readonly leaseUntilMs: number;
}

/** A lease and who presents it. */
export interface HeldLease extends Lease {
  readonly holder: string;
}

/** How a leased task leaves the hands of its worker. */
export type Settlement =
  | { readonly kind: "completed"; readonly result: JsonObject }
  | {
      readonly kind: "failed";
      readonly error: TaskError;
      readonly result?: JsonObject | undefined;
      readonly deadLetter: boolean;
    }
  | {
      readonly kind: "retried";
      readonly error: TaskError;
      readonly notBeforeMs: number;
      readonly result?: JsonObject | undefined;
    }
  | { readonly kind: "released"; readonly reason: string };

/** A claimed task with its token. */
export interface StoredClaim {
  readonly task: Task;
  readonly token: number;
}

/** What an instant's passing changed. */
export interface DueOutcome {
  /** Lanes that have newly claimable tasks. */
  readonly readyLanes: readonly string[];
  /** Tasks that ended because their attempts were used up. */
  readonly deadTaskIds: readonly string[];
  /** The next instant at which something falls due, if anything will. */
  readonly nextDueMs?: number | undefined;
}

/** What others may have changed. */
export interface Survey {
  /** Those of the tasks asked about that have ended, or are gone. */
  readonly endedTaskIds: readonly string[];
  /** Lanes that have claimable tasks. */
  readonly readyLanes: readonly string[];
  /** The next instant at which something falls due, if anything will. */
  readonly nextDueMs?: number | undefined;
}

/** Storage of one queue. */
export interface TaskStore {
  /**
   * Inserts all drafts, or none. A draft whose idempotency key is known and whose digest is equal gives the old task.
   *
   * @throws IdempotencyConflictError if the key is known for a different digest
   */
  insert(drafts: readonly TaskDraft[], nowMs: number): Promise<readonly SubmitReceipt[]>;
  /** Leases up to `limit` ready tasks, by priority (descending) and then submission order. Each token is one more than the task's last. */
  claim(claim: StoreClaim, nowMs: number): Promise<readonly StoredClaim[]>;
  /** Also revives a lease that is overdue, if nothing has settled it yet. @throws LeaseLostError */
  renew(lease: HeldLease, leaseUntilMs: number, nowMs: number): Promise<void>;
  /** Merges progress and appends log lines. @throws LeaseLostError, MessageTooLargeError if the progress has grown too large */
  note(lease: HeldLease, note: TaskNote, nowMs: number): Promise<void>;
  /**
   * Settles a lease. Repeating a completed or failed settlement under the token that settled it does nothing.
   * An overdue lease that nothing has settled yet still counts for `completed`, and for nothing else.
   *
   * @throws LeaseLostError
   */
  settle(lease: HeldLease, settlement: Settlement, nowMs: number): Promise<void>;
  /** Ends a task that has not ended. @throws TaskNotFoundError, TaskFinishedError */
  cancel(taskId: string, reason: string, nowMs: number): Promise<void>;
  get(taskId: string): Promise<Task | undefined>;
  /** The lease in force on a task: its token, holder and worker; undefined if it is not running or unknown. */
  leaseOf(taskId: string): Promise<(HeldLease & { readonly workerId: string }) | undefined>;
  list(filter: TaskFilter & { readonly limit: number }): Promise<TaskPage>;
  /** Makes delayed tasks ready and gives back those whose lease is over; those without attempts left are dead-lettered. */
  settleDue(nowMs: number): Promise<DueOutcome>;
  stats(nowMs: number): Promise<QueueStats>;
  /**
   * Tells `listener` soon after another process has changed the queue; several changes may be told as one. An engine
   * that nobody else can open never tells anything.
   *
   * @returns ends that
   */
  onForeignChange(listener: () => void): () => void;
  /** Looks at what others may have changed. */
  survey(taskIds: readonly string[]): Promise<Survey>;
  /** Deletes up to `limit` tasks that ended before `beforeMs`. @returns how many */
  prune(beforeMs: number, limit: number): Promise<number>;
}
