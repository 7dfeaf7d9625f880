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
import type { LogLine, Task, TaskError, TaskSummary } from "./task.ts";

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

/** A stretch of all lanes in the order of their bytes. */
export interface LaneRange {
  /** The first lane that may be in it; text that ends in ASCII, or is empty. */
  readonly from: string;
  /** The first that is not in it any more. Default: it has no end. */
  readonly before?: string | undefined;
}

/** Which lanes a claim takes tasks from. */
export interface LaneChoice {
  /** Looked up one by one: what that costs depends on the claim alone. */
  readonly lanes: readonly string[];
  /** Looked through, a bounded number of lanes a time; the next claim goes on with others. */
  readonly ranges: readonly LaneRange[];
}

/** A claim, with everything decided but which task. */
export interface StoreClaim {
  readonly workerId: string;
  /** The authenticated name of the claimer; a lease is only good in its hands. */
  readonly holder: string;
  /** The lanes whose tasks suit the worker. */
  readonly choice: LaneChoice;
  readonly limit: number;
  /** The most that payload, progress and log lines of all tasks may have; the first task may have more. */
  readonly maxBytes: number;
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
  /** Lanes that have claimable tasks; undefined if they are too many to name. */
  readonly readyLanes: readonly string[] | undefined;
  /** The next instant at which something falls due, if anything will. */
  readonly nextDueMs?: number | undefined;
}

/** What somebody who follows a task is shown of it. */
export interface StoredNews {
  readonly task: TaskSummary;
  readonly progress?: JsonObject | undefined;
  /** The lines that were asked for, as far as they are kept, oldest first. */
  readonly logs: readonly LogLine[];
  /** How many lines it has ever written. */
  readonly lines: number;
}

/** Storage of one queue. */
export interface TaskStore {
  /**
   * Inserts all drafts, or none. A draft whose idempotency key is known and whose digest is equal gives the old task.
   *
   * @throws IdempotencyConflictError if the key is known for a different digest
   */
  insert(drafts: readonly TaskDraft[], nowMs: number): Promise<readonly SubmitReceipt[]>;
  /**
   * Leases up to `limit` ready tasks, by priority (descending) and then submission order. Each token is one more than
   * the task's last. The order is strict among the lanes looked at, see {@link LaneChoice}.
   */
  claim(claim: StoreClaim, nowMs: number): Promise<readonly StoredClaim[]>;
  /** Whether a claim of these lanes would get a task, as far as nothing has fallen due since. */
  anyReady(choice: LaneChoice): Promise<boolean>;
  /** Also revives a lease that has run out, if nobody was given the task since. @throws LeaseLostError */
  renew(lease: HeldLease, leaseUntilMs: number, nowMs: number): Promise<void>;
  /** Merges progress and appends log lines. @throws LeaseLostError, MessageTooLargeError if the progress has grown too large */
  note(lease: HeldLease, note: TaskNote, nowMs: number): Promise<void>;
  /**
   * Settles a lease. Repeating what ended the task under the token that ended it does nothing. A lease that has run
   * out still counts for `completed` if nobody was given the task since, and for nothing else.
   *
   * @throws LeaseLostError, TaskFinishedError if the lease ended the task in another way before
   */
  settle(lease: HeldLease, settlement: Settlement, nowMs: number): Promise<void>;
  /** Ends a task that has not ended. @throws TaskNotFoundError, TaskFinishedError */
  cancel(taskId: string, reason: string, nowMs: number): Promise<void>;
  get(taskId: string): Promise<Task | undefined>;
  /** A task without its bodies, with the log lines beyond the first `afterLine` that it ever wrote. */
  news(taskId: string, afterLine: number): Promise<StoredNews | undefined>;
  /** The lease in force on a task: its token, holder and worker; undefined if it is not running or unknown. */
  leaseOf(taskId: string): Promise<(HeldLease & { readonly workerId: string }) | undefined>;
  list(filter: TaskFilter & { readonly limit: number }): Promise<TaskPage>;
  /**
   * Makes delayed tasks ready and gives back those whose lease is over; those without attempts left are dead-lettered.
   * A lease that lapsed while nobody had the store open holds once more for as long: its worker could not renew it.
   */
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
