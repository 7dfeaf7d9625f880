/**
 * The task rows of old peers as our tasks (contract of the Python system, section 2.5).
 *
 * Later versions have more columns (priority, attempt, max_attempts, idempotency_key); what a row lacks gets the
 * value that describes an old queue: one attempt, no lease, no history.
 */
import * as z from "zod";
import { isJsonObject, type JsonObject, jsonObject } from "../../content/json.ts";
import { ProtocolError } from "../../errors.ts";
import {
  DEFAULT_PRIORITY,
  type LogLine,
  MAX_PRIORITY,
  MIN_PRIORITY,
  type Task,
  type TaskError,
  type TaskSummary,
} from "../../task/task.ts";

const rowSchema = z.object({
  task_id: z.string().min(1),
  task_type: z.string().catch(""),
  model_name: z.string().catch(""),
  payload: jsonObject.catch({}),
  status: z.string().catch("queued"),
  assigned_worker: z.string().optional().catch(undefined),
  created_at: z.number().catch(0),
  updated_at: z.number().optional().catch(undefined),
  result: z.unknown().optional(),
  error: z.unknown().optional(),
  priority: z.int().min(MIN_PRIORITY).max(MAX_PRIORITY).optional().catch(undefined),
  attempt: z.int().min(0).optional().catch(undefined),
  max_attempts: z.int().min(1).optional().catch(undefined),
  idempotency_key: z.string().min(1).optional().catch(undefined),
});

const stateSchema = z.enum(["queued", "running", "completed", "failed", "cancelled"]);

/** An error text of ours as {@link errorText} writes it. */
const CODED = /^(E_[A-Z_]+): (.*)$/s;

const logLine = z.object({
  ts: z.number().catch(0),
  stream: z.string().catch("stdout"),
  message: z.string(),
});

/** A row as a task. @throws ProtocolError if it is none */
export function taskOfRow(row: unknown): Task {
  const parsed = rowSchema.safeParse(row);
  if (!parsed.success) throw new ProtocolError("the peer sent a task that is none", { cause: parsed.error });
  const { data } = parsed;
  const state = stateSchema.safeParse(data.status.trim().toLowerCase());
  if (!state.success)
    throw new ProtocolError(`the peer sent a task in the state '${data.status}'`, { cause: state.error });
  const createdAtMs = data.created_at * 1000;
  const stored = isJsonObject(data.result) ? data.result : undefined;
  const { progress, logs, ...rest } = stored ?? {};
  return {
    id: data.task_id,
    type: data.task_type,
    modelName: data.model_name,
    payload: data.payload,
    priority: data.priority ?? priorityIn(data.payload),
    state: state.data,
    // A queue that does not count begins each task once.
    attempt: data.attempt ?? (state.data === "queued" ? 0 : 1),
    maxAttempts: data.max_attempts ?? 1,
    workerId: data.assigned_worker,
    idempotencyKey: data.idempotency_key,
    createdAtMs,
    updatedAtMs: data.updated_at === undefined ? createdAtMs : data.updated_at * 1000,
    progress: isJsonObject(progress) ? progress : undefined,
    logs: logsOf(logs),
    result: state.data === "queued" || state.data === "running" ? undefined : resultOf(stored, rest),
    error: errorOf(data.error, state.data),
    deadLetter: false,
    history: [],
  };
}

/** A row as lists show it. @throws ProtocolError if it is none */
export function summaryOfRow(row: unknown): TaskSummary {
  const { payload: _p, result: _r, logs: _l, history: _h, progress: _g, ...summary } = taskOfRow(row);
  return summary;
}

/** What an error says, in the one field of text that old queues have for it. */
export function errorText({ code, message }: Pick<TaskError, "code" | "message">): string {
  return `${code}: ${message}`;
}

function errorOf(error: unknown, state: Task["state"]): TaskError | undefined {
  if (state !== "failed" && state !== "cancelled") return undefined;
  const text = typeof error === "string" && error !== "" ? error : `the task has ${state}`;
  const [, code, message] = CODED.exec(text) ?? [];
  return { code: code ?? "E_REMOTE", message: message ?? text, failureClass: "internal" };
}

/** Progress and logs live inside the result there; what is left is the result. */
function resultOf(stored: JsonObject | undefined, rest: JsonObject): JsonObject | undefined {
  if (stored === undefined) return undefined;
  return Object.keys(rest).length === 0 && Object.keys(stored).length > 0 ? undefined : rest;
}

function logsOf(logs: unknown): readonly LogLine[] {
  if (!Array.isArray(logs)) return [];
  return logs.flatMap((line: unknown) => {
    const parsed = logLine.safeParse(line);
    if (!parsed.success) return [];
    const { ts, stream, message } = parsed.data;
    return [{ atMs: ts * 1000, stream, message }];
  });
}

function priorityIn({ priority }: JsonObject): number {
  if (typeof priority !== "number" || !Number.isFinite(priority) || priority === 0) return DEFAULT_PRIORITY;
  return Math.min(Math.max(Math.trunc(priority), MIN_PRIORITY), MAX_PRIORITY);
}
