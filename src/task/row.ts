/**
 * Tasks as callers of the tools and of the old wire see them: the rows of the old system (contract.md 2.5); the
 * tools get our additions too.
 *
 * Times are seconds since 1970 as floats. `result` holds the members of the handler's result and, as in the old
 * system, `progress` and `logs` beside them, unless the handler returned members of these names.
 */
import * as z from "zod";
import { type JsonObject, jsonObject } from "../content/json.ts";
import type { ClaimedTask, TaskNews } from "./queue.ts";
import { type LogLine, type Task, TASK_STATES, type TaskState, type TaskSummary } from "./task.ts";

/** One event of a task's history. */
export interface EventRow {
  readonly ts: number;
  readonly event: string;
  readonly worker_id?: string | undefined;
  readonly lease_token?: number | undefined;
  readonly detail?: string | undefined;
}

/** A row of the task table. */
export interface TaskRow {
  readonly task_id: string;
  readonly task_type: string;
  readonly model_name: string;
  readonly payload: JsonObject | null;
  readonly status: TaskState;
  readonly assigned_worker: string | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly result: JsonObject | null;
  readonly error: string | null;
  readonly error_code: string | null;
  readonly priority: number;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly dead_letter: boolean;
  readonly not_before: number | null;
  readonly lease_until: number | null;
  readonly idempotency_key: string | null;
  readonly history?: readonly EventRow[] | undefined;
  readonly bodies_omitted?: boolean | undefined;
}

/** A row as the old wire has it, member for member. */
export type OldTaskRow = Pick<
  TaskRow,
  | "task_id"
  | "task_type"
  | "model_name"
  | "payload"
  | "status"
  | "assigned_worker"
  | "created_at"
  | "updated_at"
  | "result"
  | "error"
>;

/** A claimed task as the old wire has it. */
export type OldClaimedRow = Omit<OldTaskRow, "updated_at" | "result" | "error">;

/** A row with the lease to act under. */
export interface ClaimedRow extends TaskRow {
  readonly lease_token: number;
  readonly lease_until: number;
}

const eventShape = z.object({
  ts: z.number().describe("When, in seconds since 1970"),
  event: z.string(),
  worker_id: z.string().optional(),
  lease_token: z.int().optional(),
  detail: z.string().optional(),
});

const rowShape = z.object({
  task_id: z.string(),
  task_type: z.string(),
  model_name: z.string(),
  payload: jsonObject.nullable().describe("Null only where a list left it out"),
  status: z.enum(TASK_STATES),
  assigned_worker: z.string().nullable().describe("The worker that has it, or had it last"),
  created_at: z.number().describe("Seconds since 1970"),
  updated_at: z.number().describe("Seconds since 1970"),
  result: jsonObject.nullable().describe("The result, with progress and logs [{ts, stream, message}]"),
  error: z.string().nullable().describe("Why it failed or was cancelled"),
  error_code: z.string().nullable().describe("Stable code of the error, E_…"),
  priority: z.int().describe("1 (last) to 10 (first)"),
  attempt: z.int().describe("How many times it was begun"),
  max_attempts: z.int(),
  dead_letter: z.boolean().describe("True if it failed because its attempts were used up"),
  not_before: z.number().nullable().describe("Not claimable before, in seconds since 1970"),
  lease_until: z.number().nullable().describe("Until when the worker's lease holds, in seconds since 1970"),
  idempotency_key: z.string().nullable(),
  history: z.array(eventShape).optional().describe("What happened to it, oldest first"),
  bodies_omitted: z
    .boolean()
    .optional()
    .describe("True if payload and result were left out to keep the list small"),
});

/** Accepts a {@link TaskRow}, and describes it. */
export const taskRowSchema: z.ZodType<TaskRow> = rowShape;

const SEE_GET_TASK = { describedIn: "p2p_taskqueue_get_task" };

/** {@link taskRowSchema} for all tools but the one that describes it: a list of tools says it once. */
export const sameRowSchema: z.ZodType<TaskRow> = rowShape.meta(SEE_GET_TASK);

/** Accepts a {@link ClaimedRow}. */
export const claimedRowSchema: z.ZodType<ClaimedRow> = rowShape
  .extend({ lease_token: z.int(), lease_until: z.number() })
  .meta(SEE_GET_TASK);

const seconds = (ms: number): number => ms / 1000;
const secondsOrNull = (ms: number | undefined): number | null => (ms === undefined ? null : ms / 1000);

/** A whole task as a row. */
export function taskRow(task: Task): TaskRow {
  return {
    ...summaryRow(task),
    payload: task.payload,
    result: resultOf(task),
    history: task.history.map(eventOf),
  };
}

/** A whole task as a row of the old wire. */
export function oldTaskRow(task: Task): OldTaskRow {
  return {
    ...oldClaimedRow(task),
    updated_at: seconds(task.updatedAtMs),
    result: resultOf(task),
    error: task.error?.message ?? null,
  };
}

/** A claimed task as a row of the old wire, which tells nothing that the worker does not need. */
export function oldClaimedRow(task: Task): OldClaimedRow {
  return {
    task_id: task.id,
    task_type: task.type,
    model_name: task.modelName,
    payload: task.payload,
    status: task.state,
    assigned_worker: task.workerId ?? null,
    created_at: seconds(task.createdAtMs),
  };
}

/** A task as a row without its bodies. */
export function bareRow(task: TaskSummary): TaskRow {
  return { ...summaryRow(task), payload: null, result: null, bodies_omitted: true };
}

/** What is new about a task as a row: with its progress and the new log lines, without payload, result and history. */
export function newsRow({ task, progress, logs }: TaskNews): TaskRow {
  const notes = { ...(progress && { progress }), ...(logs.length > 0 && { logs: logs.map(lineOf) }) };
  return { ...bareRow(task), result: notes };
}

/** A claimed task as a row with its lease. */
export function claimedRow({ task, lease, leaseUntilMs }: ClaimedTask): ClaimedRow {
  return { ...taskRow(task), lease_token: lease.token, lease_until: seconds(leaseUntilMs) };
}

function summaryRow(task: TaskSummary): Omit<TaskRow, "payload" | "result"> {
  return {
    task_id: task.id,
    task_type: task.type,
    model_name: task.modelName,
    status: task.state,
    assigned_worker: task.workerId ?? null,
    created_at: seconds(task.createdAtMs),
    updated_at: seconds(task.updatedAtMs),
    error: task.error?.message ?? null,
    error_code: task.error?.code ?? null,
    priority: task.priority,
    attempt: task.attempt,
    max_attempts: task.maxAttempts,
    dead_letter: task.deadLetter,
    not_before: secondsOrNull(task.notBeforeMs),
    lease_until: secondsOrNull(task.leaseUntilMs),
    idempotency_key: task.idempotencyKey ?? null,
  };
}

function lineOf({ atMs, stream, message }: LogLine): JsonObject {
  return { ts: seconds(atMs), stream, message };
}

/** Null until something was written, as in the old system. */
function resultOf({ result, progress, logs }: Task): JsonObject | null {
  const notes = { ...(progress && { progress }), ...(logs.length > 0 && { logs: logs.map(lineOf) }) };
  const whole = { ...notes, ...result };
  return result === undefined && Object.keys(whole).length === 0 ? null : whole;
}

function eventOf(event: Task["history"][number]): EventRow {
  return {
    ts: seconds(event.atMs),
    event: event.kind,
    ...(event.workerId !== undefined && { worker_id: event.workerId }),
    ...(event.token !== undefined && { lease_token: event.token }),
    ...(event.detail !== undefined && { detail: event.detail }),
  };
}
