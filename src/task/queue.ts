/** The task queue as everybody sees it, whether it is in this process or on a peer. */
import type { JsonObject } from "../content/json.ts";
import type { CallOptions } from "../peer/rpc.ts";
import type { LogLine, NewTask, Task, TaskError, TaskState, TaskSummary } from "./task.ts";

export type { CallOptions };

/** The right to work on a task for a while. */
export interface Lease {
  readonly taskId: string;
  /** The fencing token: greater than that of every earlier claim of the task. */
  readonly token: number;
}

/** What a submit returns, once the task is on disk at the queue's owner. */
export interface SubmitReceipt {
  readonly taskId: string;
  /** False if the idempotency key had given this task before. */
  readonly created: boolean;
}

/** What a worker asks for. */
export interface ClaimRequest {
  /** Name of the worker, recorded as the assignee. */
  readonly workerId: string;
  /** Task types it takes; empty or absent means any. Aliases count as the type they stand for. */
  readonly types?: readonly string[] | undefined;
  /**
   * What the worker can do beyond the type, such as `tool:fs__read_file`. A task that requires something goes
   * only to a worker that lists it. Absent means: do not ask, give me any task of these types.
   */
  readonly skills?: readonly string[] | undefined;
  /** At most this many. Default 1, at most {@link MAX_CLAIM_BATCH}. */
  readonly limit?: number | undefined;
  /** Wait this long for a task if none is ready. Default 0, at most {@link MAX_CLAIM_WAIT_MS}. */
  readonly waitMs?: number | undefined;
  /** How long the lease holds unrenewed. Default {@link DEFAULT_LEASE_MS}. */
  readonly leaseMs?: number | undefined;
}

/** What a worker waits for: the same as in a {@link ClaimRequest}. */
export type ReadyRequest = Pick<ClaimRequest, "types" | "skills" | "waitMs">;

/** A task that was claimed, with the lease to act under. */
export interface ClaimedTask {
  readonly task: Task;
  readonly lease: Lease;
  /** Until when the lease holds, by the queue's clock, in milliseconds since 1970. */
  readonly leaseUntilMs: number;
}

/** What to add to a running task. */
export interface TaskNote {
  /** Replaces the members of the task's progress that it names. */
  readonly progress?: JsonObject | undefined;
  /** Appended; the oldest lines beyond MAX_LOG_LINES go. */
  readonly logs?: readonly LogLine[] | undefined;
}

/** How a failed attempt is to be treated. */
export interface Failure {
  readonly error: TaskError;
  /** Try again, if attempts are left. Default false: the task has failed for good. */
  readonly retry?: boolean | undefined;
  /** Wait this long before the next attempt. Default: grows with the attempts (see backoff.ts). */
  readonly retryAfterMs?: number | undefined;
  /** What it produced before it failed, if anything. */
  readonly result?: JsonObject | undefined;
}

/** Which tasks a list shows. */
export interface TaskFilter {
  readonly state?: TaskState | undefined;
  readonly types?: readonly string[] | undefined;
  /** Only dead letters, or only others. */
  readonly deadLetter?: boolean | undefined;
  /** Page size. Default 50, at most {@link MAX_LIST_LIMIT}. */
  readonly limit?: number | undefined;
  /** Where the page before ended: its `nextCursor`. */
  readonly cursor?: string | undefined;
}

/** One page of tasks, oldest first. */
export interface TaskPage {
  readonly tasks: readonly TaskSummary[];
  /** Pass it back for the next page; absent on the last one. */
  readonly nextCursor?: string | undefined;
}

/** How full a queue is. */
export interface QueueStats {
  /** How many tasks are in each state. */
  readonly byState: Readonly<Record<TaskState, number>>;
  /** How many of the queued ones could be claimed now. */
  readonly ready: number;
  readonly deadLetters: number;
  /** How long the oldest claimable task has waited, in milliseconds; 0 if there is none. */
  readonly oldestReadyMs: number;
}

/** What waiting gave. */
export interface WaitOutcome {
  /** As it is now. */
  readonly task: Task;
  /** False if the time was up first; the task lives on. */
  readonly finished: boolean;
}

/** Up to where somebody has followed a task. */
export interface FollowPoint {
  /** How many log lines the task had written by then, those included that it does not keep any more. */
  readonly lines: number;
  /** When it had last changed, in milliseconds since 1970. */
  readonly changedAtMs: number;
}

/** Where following begins: everything is news. */
export const FROM_THE_BEGINNING: FollowPoint = { lines: 0, changedAtMs: 0 };

/** What is new about a task since a {@link FollowPoint}. */
export interface TaskNews {
  /** As it is now. */
  readonly task: TaskSummary;
  /** All of it, as it is now. */
  readonly progress?: JsonObject | undefined;
  /** The lines that were written since, oldest first. */
  readonly logs: readonly LogLine[];
  /** How many lines before `logs` were written since, too, and are not kept any more. */
  readonly missed: number;
  /** Where to go on from. */
  readonly point: FollowPoint;
  /** Whether it has ended; then there will be no more news. */
  readonly finished: boolean;
}

/** How long a lease holds if the worker names nothing: long enough for a renewal to be lost twice. */
export const DEFAULT_LEASE_MS = 30_000;
/** Below this a pause of the event loop costs leases. */
export const MIN_LEASE_MS = 1000;
/** A longer lease means that a dead worker's task is missed for an hour. */
export const MAX_LEASE_MS = 3_600_000;
/** Bounds the work of one claim transaction. */
export const MAX_CLAIM_BATCH = 100;
/**
 * Bounds the bodies of the tasks of one claim, so that its answer fits into a frame of 16 MiB with all that comes on
 * top, such as control characters in log lines, which JSON writes with six bytes. One task alone may have more.
 */
export const MAX_CLAIM_BYTES: number = 8 * 1024 * 1024;
/** Bounds how long a claim holds resources at the owner; workers simply ask again. */
export const MAX_CLAIM_WAIT_MS = 60_000;
/** Bounds one wait; `wait` on a peer's queue asks again until its own time is up. */
export const MAX_WAIT_MS = 300_000;
/** How long a wait lasts if the caller names nothing, as in the old system. */
export const DEFAULT_WAIT_MS = 60_000;
/** Page size of a list if the caller names none, as in the old system. */
export const DEFAULT_LIST_LIMIT = 50;
/** The largest page, as in the old system: bounds the size of an answer. */
export const MAX_LIST_LIMIT = 1000;
/** Bounds the work of one submit transaction. */
export const MAX_SUBMIT_BATCH = 1000;
/** How many skills one claim may list. */
export const MAX_SKILLS = 1000;

/**
 * A durable task queue. Every method rejects with an `McpError`; near and far behave the same.
 *
 * Execution is at least once; acceptance of a result is at most once: `renew`, `note`, `complete`, `fail` and
 * `release` need the lease in force and are refused with `E_LEASE_LOST` under any other.
 */
export interface TaskQueue {
  /**
   * Puts tasks in, all or none. When it resolves they are on disk at the queue's owner.
   *
   * @returns one receipt for each task, in order
   * @throws InvalidInputError, IdempotencyConflictError
   */
  submit(tasks: readonly NewTask[], options?: CallOptions): Promise<readonly SubmitReceipt[]>;
  /**
   * Takes the next tasks: higher priority first, then first in, first out. Fewer than asked for if their bodies have
   * more than {@link MAX_CLAIM_BYTES}. Empty if the wait was in vain.
   */
  claim(request: ClaimRequest, options?: CallOptions): Promise<readonly ClaimedTask[]>;
  /**
   * Waits until there is a task that such a claim could get, and takes nothing: somebody else may be quicker.
   *
   * @returns false if the wait was in vain
   */
  ready(request: ReadyRequest, options?: CallOptions): Promise<boolean>;
  /** Makes a lease hold for `leaseMs` more from now. @returns until when @throws LeaseLostError */
  renew(lease: Lease, leaseMs: number, options?: CallOptions): Promise<number>;
  /** Adds progress and log lines to a running task. @throws LeaseLostError, MessageTooLargeError if its progress grows too large */
  note(lease: Lease, note: TaskNote, options?: CallOptions): Promise<void>;
  /**
   * Ends a task with its result. Repeating it under the same lease is harmless.
   *
   * @throws LeaseLostError, TaskFinishedError if the same lease ended it with another result
   */
  complete(lease: Lease, result: JsonObject, options?: CallOptions): Promise<void>;
  /** Reports that an attempt failed: back to the queue after a pause, or the end. @throws LeaseLostError */
  fail(lease: Lease, failure: Failure, options?: CallOptions): Promise<void>;
  /** Hands a task back unbegun: the attempt does not count, and it keeps its place. @throws LeaseLostError */
  release(lease: Lease, reason: string, options?: CallOptions): Promise<void>;
  /**
   * Waits until a lease does not hold any more as it was given: its task has ended, was given to another worker, or
   * the lease has run out. What came of it, a renewal tells.
   *
   * @param waitMs - at most {@link MAX_WAIT_MS}
   * @returns false if it still holds when the time is up
   */
  lost(lease: Lease, waitMs: number, options?: CallOptions): Promise<boolean>;
  /** Ends a task that nobody needs any more, also a running one: its worker is told and stops. @throws TaskNotFoundError, TaskFinishedError */
  cancel(taskId: string, reason: string, options?: CallOptions): Promise<void>;
  /** @returns the task, or undefined if the queue does not know it */
  get(taskId: string, options?: CallOptions): Promise<Task | undefined>;
  /** A page of tasks, oldest first. */
  list(filter?: TaskFilter, options?: CallOptions): Promise<TaskPage>;
  /** Waits until a task has ended or `timeoutMs` is over, whichever is first. @throws TaskNotFoundError */
  wait(taskId: string, timeoutMs: number, options?: CallOptions): Promise<WaitOutcome>;
  /**
   * Waits until there is something new about a task since `point`, or `waitMs` are over, whichever is first: log lines,
   * progress, another state, a renewed lease.
   *
   * @param waitMs - at most {@link MAX_WAIT_MS}
   * @throws TaskNotFoundError
   */
  follow(taskId: string, point: FollowPoint, waitMs: number, options?: CallOptions): Promise<TaskNews>;
  stats(options?: CallOptions): Promise<QueueStats>;
}
