/** What a task is, and the limits of its parts. */
import * as z from "zod";
import { type JsonObject, jsonObject } from "../content/json.ts";

/** `queued` → `running` → `completed` | `failed` | `cancelled`; a lost lease or a retry leads back to `queued`. */
export type TaskState = "queued" | "running" | "completed" | "failed" | "cancelled";

/** All states, in the order of a task's life. */
export const TASK_STATES: readonly TaskState[] = ["queued", "running", "completed", "failed", "cancelled"];

/** Whether a task in `state` will never change again. */
export function isFinished(state: TaskState): boolean {
  return state === "completed" || state === "failed" || state === "cancelled";
}

/** Priority of a task that names none, in the middle as on the old wire. */
export const DEFAULT_PRIORITY = 5;
/** The priority that comes last. */
export const MIN_PRIORITY = 1;
/** The priority that comes first. */
export const MAX_PRIORITY = 10;

/** How often a task is begun before it is given up: once, and two more chances. */
export const DEFAULT_MAX_ATTEMPTS = 3;
/** More attempts than this hide a broken task. */
export const MAX_ATTEMPTS = 100;

/*
 * A task travels whole: payload, result, progress, logs, history and error in one message. Every wire here carries
 * 16 MiB in one message, so the limits of the parts, in bytes of JSON text in UTF-8, add up to 15 MiB, and one is left
 * for the rest of the task (its history and error have at most 0.6) and the envelope.
 */
/** Largest payload, in bytes of JSON. */
export const MAX_PAYLOAD_BYTES: number = 6.5 * 1024 * 1024;
/** Largest result, in bytes of JSON; more than a payload, so that whatever can be sent in can come back wrapped. */
export const MAX_RESULT_BYTES: number = 7 * 1024 * 1024;
/** Largest progress of a task, in bytes of JSON, with everything that was merged into it. */
export const MAX_PROGRESS_BYTES: number = 512 * 1024;
/** How many of its last log lines a task keeps; the old system keeps as many. */
export const MAX_LOG_LINES = 200;
/** A longer log message, error message or reason is cut and marked. */
export const MAX_LOG_LINE_CHARS = 4096;
/** Also cut if it has more bytes as JSON: {@link MAX_LOG_LINES} such lines with their names and times have 1 MiB. */
export const MAX_LOG_LINE_BYTES = 4608;
/** A longer name of a log's stream, or of an error's code or class, is cut. */
export const MAX_LABEL_CHARS = 64;
/** How many events a task's history keeps, its first one always: enough for MAX_ATTEMPTS would be noise. */
export const MAX_HISTORY = 50;
/** Length limits of free text that ends up in indexes. */
export const MAX_NAME_CHARS = 256;

/** One line that a running task wrote. */
export interface LogLine {
  readonly atMs: number;
  /** `stdout`, `stderr`, or what the handler calls it. */
  readonly stream: string;
  readonly message: string;
}

/** What happened to a task, for its history. */
export interface TaskEvent {
  readonly atMs: number;
  readonly kind:
    | "submitted"
    | "claimed"
    | "released"
    | "expired"
    | "retried"
    | "completed"
    | "failed"
    | "cancelled"
    | "dead-lettered";
  /** The worker it concerns, if any. */
  readonly workerId?: string | undefined;
  /** The fencing token in force, if any. */
  readonly token?: number | undefined;
  /** Why, in words. */
  readonly detail?: string | undefined;
}

/** Why a task failed. */
export interface TaskError {
  /** Stable code, `E_…`. */
  readonly code: string;
  readonly message: string;
  /** See `FailureClass` in errors.ts; `expired` when the worker went away too often. */
  readonly failureClass: string;
}

/** A task as its queue knows it. */
export interface Task {
  /** 32 hexadecimal digits, made by the queue. */
  readonly id: string;
  readonly type: string;
  readonly modelName: string;
  readonly payload: JsonObject;
  /** 1 (last) … 10 (first). */
  readonly priority: number;
  readonly state: TaskState;
  /** How many times it was begun and not handed back. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Not claimable before this instant (milliseconds since 1970), if delayed or waiting for a retry. */
  readonly notBeforeMs?: number | undefined;
  /** The worker that has it, or had it last. */
  readonly workerId?: string | undefined;
  /** Until when the lease in force holds; only while `running`. */
  readonly leaseUntilMs?: number | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly progress?: JsonObject | undefined;
  /** The last {@link MAX_LOG_LINES} lines, oldest first. */
  readonly logs: readonly LogLine[];
  /** Only when `completed`, or as far as a failed task got. */
  readonly result?: JsonObject | undefined;
  /** Only when `failed` or `cancelled`, or the last failure while it waits for a retry. */
  readonly error?: TaskError | undefined;
  /** True if it failed because its attempts were used up. */
  readonly deadLetter: boolean;
  /** The first event and the last ones, {@link MAX_HISTORY} together, oldest first. */
  readonly history: readonly TaskEvent[];
}

/** A task as lists show it: without payload, result, logs and history. */
export type TaskSummary = Omit<Task, "payload" | "result" | "logs" | "history" | "progress">;

/** What a submitter says about a task. */
export interface NewTask {
  readonly type: string;
  /** Default "". */
  readonly modelName?: string | undefined;
  readonly payload: JsonObject;
  /** 1 (last) … 10 (first). Default 5. */
  readonly priority?: number | undefined;
  /** Wait at least this long before the first claim. Default 0. */
  readonly delayMs?: number | undefined;
  /** Default 3. */
  readonly maxAttempts?: number | undefined;
  /** The same key gives the same task; the same key with different work is an error. */
  readonly idempotencyKey?: string | undefined;
}

/** Ninety days: a longer delay is a mistake in units. */
export const MAX_DELAY_MS: number = 90 * 24 * 3600 * 1000;

const name = z.string().max(MAX_NAME_CHARS);

/** Accepts a {@link NewTask}. Sizes of bodies are checked by the queue. */
export const newTaskSchema: z.ZodType<NewTask> = z.object({
  type: name.min(1),
  modelName: name.optional(),
  payload: jsonObject,
  priority: z.int().min(MIN_PRIORITY).max(MAX_PRIORITY).optional(),
  delayMs: z.number().min(0).max(MAX_DELAY_MS).optional(),
  maxAttempts: z.int().min(1).max(MAX_ATTEMPTS).optional(),
  idempotencyKey: name.min(1).optional(),
});

const instant = z.number();
const events = [
  "submitted",
  "claimed",
  "released",
  "expired",
  "retried",
  "completed",
  "failed",
  "cancelled",
  "dead-lettered",
] as const;

/** Accepts a {@link LogLine}. */
export const logLineSchema: z.ZodType<LogLine> = z.object({
  atMs: instant,
  stream: z.string(),
  message: z.string(),
});

/** Accepts a {@link TaskEvent}. */
export const taskEventSchema: z.ZodType<TaskEvent> = z.object({
  atMs: instant,
  kind: z.enum(events),
  workerId: z.string().optional(),
  token: z.int().optional(),
  detail: z.string().optional(),
});

/** Accepts a {@link TaskError}. */
export const taskErrorSchema: z.ZodType<TaskError> = z.object({
  code: z.string(),
  message: z.string(),
  failureClass: z.string(),
});

const summaryShape = {
  id: z.string(),
  type: z.string(),
  modelName: z.string(),
  priority: z.int(),
  state: z.enum(["queued", "running", "completed", "failed", "cancelled"]),
  attempt: z.int(),
  maxAttempts: z.int(),
  notBeforeMs: instant.optional(),
  workerId: z.string().optional(),
  leaseUntilMs: instant.optional(),
  idempotencyKey: z.string().optional(),
  createdAtMs: instant,
  updatedAtMs: instant,
  error: taskErrorSchema.optional(),
  deadLetter: z.boolean(),
};

/** Accepts a {@link TaskSummary}. */
export const taskSummarySchema: z.ZodType<TaskSummary> = z.object(summaryShape);

/** Accepts a {@link Task}. */
export const taskSchema: z.ZodType<Task> = z.object({
  ...summaryShape,
  payload: jsonObject,
  progress: jsonObject.optional(),
  logs: z.array(logLineSchema),
  result: jsonObject.optional(),
  history: z.array(taskEventSchema),
});
