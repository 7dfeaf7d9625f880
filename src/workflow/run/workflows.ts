/** Runs of workflows as everybody sees them, whether they are in this process or on a peer. */
import type { JsonObject } from "../../content/json.ts";
import type { CallOptions } from "../../peer/rpc.ts";
import type { TaskError, TaskState } from "../../task/task.ts";
import type { RunEvent, RunState } from "./events.ts";
import type { Placement } from "../placement.ts";
import type { ReplayReport } from "./replay.ts";
import type { StepState } from "./step-run.ts";
import type { RunFilter, RunPage, RunRow } from "./store.ts";

/** What to run. */
export interface RunRequest {
  /** A workflow: a value of its schema, or the text of a file. */
  readonly workflow: unknown;
  /** Values of its inputs. Default none. */
  readonly inputs?: JsonObject | undefined;
  /** The same key gives the same run; the same key with another workflow or other inputs is an error. */
  readonly idempotencyKey?: string | undefined;
}

/** What starting gives, once the run is on disk. */
export interface RunReceipt {
  readonly runId: string;
  /** False if the idempotency key had given this run before. */
  readonly created: boolean;
}

/** How far the items of a `for_each` are. */
export interface ItemCounts {
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
  /** In the queue or with a worker. */
  readonly open: number;
}

/** A step of a run. */
export interface StepView {
  readonly id: string;
  readonly state: StepState;
  /** The type of its task; absent for an approval. */
  readonly task?: string | undefined;
  /** The question, once it was asked. */
  readonly question?: string | undefined;
  /** How many attempts its task had, or the one of its items that had most. */
  readonly attempts: number;
  readonly items?: ItemCounts | undefined;
  /** If it is small enough to be shown; see {@link StepView.resultBytes}. */
  readonly result?: unknown;
  /** Bytes of JSON of a result that is not shown. */
  readonly resultBytes?: number | undefined;
  readonly error?: TaskError | undefined;
  /** Why it was skipped. */
  readonly why?: string | undefined;
}

/** A run. */
export interface RunView extends RunRow {
  readonly startedBy: string;
  readonly inputs: JsonObject;
  readonly steps: readonly StepView[];
  readonly output?: unknown;
  readonly error?: TaskError | undefined;
}

/** A task of a step, as its queue knows it. */
export interface StepTask {
  readonly taskId: string;
  readonly item?: number | undefined;
  readonly attempt: number;
  /** Absent if the queue has forgotten it. */
  readonly state?: TaskState | undefined;
  /** The worker that has it. */
  readonly workerId?: string | undefined;
  /** Until when that holds, in milliseconds since 1970. */
  readonly leaseUntilMs?: number | undefined;
  /** Who has it, or is to have it, and why: one sentence. */
  readonly why: string;
}

/** Why a step is where it is. */
export interface StepExplanation {
  readonly id: string;
  readonly state: StepState;
  readonly placement: Placement;
  /** One sentence. */
  readonly why: string;
  /** Its tasks that are not over, at most {@link MAX_TASKS_EXPLAINED}. */
  readonly tasks: readonly StepTask[];
}

/** Tasks of one step that an explanation shows. */
export const MAX_TASKS_EXPLAINED = 20;

/** Why a run is where it is. */
export interface RunExplanation {
  readonly runId: string;
  readonly state: RunState;
  /** One sentence: who conducts it, or why it has ended. */
  readonly why: string;
  readonly steps: readonly StepExplanation[];
}

/** An answer to a question. */
export interface Answer {
  readonly step: string;
  readonly approved: boolean;
  /** Default "". */
  readonly comment?: string | undefined;
  /** Becomes `result.value` of the step. */
  readonly value?: unknown;
}

/** How long to wait for a run. */
export interface RunWait {
  readonly timeoutMs: number;
  /** Return also once its log has more events than this. Default: only when it has ended. */
  readonly after?: number | undefined;
}

/** Durable workflows. Every method rejects with an `McpError`; near and far behave the same. */
export interface Workflows {
  /** Starts a run. When it resolves, the run is on disk. @throws WorkflowInvalidError, InvalidInputError, IdempotencyConflictError */
  run(request: RunRequest, options?: CallOptions): Promise<RunReceipt>;
  /** A page of runs, newest first. */
  list(filter?: RunFilter, options?: CallOptions): Promise<RunPage>;
  /** @returns undefined if there is no such run */
  get(runId: string, options?: CallOptions): Promise<RunView | undefined>;
  /** Waits until a run has ended, its log has grown, or the time is up, whichever is first. @throws RunNotFoundError */
  wait(runId: string, wait: RunWait, options?: CallOptions): Promise<RunView>;
  /** Events after the one of number `after`, at most MAX_EVENTS_SHOWN (limits.ts). @throws RunNotFoundError */
  events(runId: string, after: number, options?: CallOptions): Promise<readonly RunEvent[]>;
  /** Ends a run: its tasks are cancelled. @throws RunNotFoundError, RunStateError if it has ended */
  cancel(runId: string, reason: string, options?: CallOptions): Promise<void>;
  /**
   * Runs the steps again that did not complete, and those after them; completed steps and items keep their results.
   *
   * @param from - a step that is to run again with all after it, though it has completed
   * @throws RunNotFoundError, RunStateError if the run has not ended, or has nothing to repeat
   */
  retry(runId: string, from: string | undefined, options?: CallOptions): Promise<void>;
  /** Answers a question of a run. @throws RunNotFoundError, RunStateError if the step does not wait for an answer */
  answer(runId: string, answer: Answer, options?: CallOptions): Promise<void>;
  /** For each step: its state, who has it and why, why it waits. @throws RunNotFoundError */
  explain(runId: string, options?: CallOptions): Promise<RunExplanation>;
  /** Decides the run again from its log, and compares. @throws RunNotFoundError */
  replay(runId: string, options?: CallOptions): Promise<ReplayReport>;
}
