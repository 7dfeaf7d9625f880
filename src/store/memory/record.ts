/** A task as the memory engine keeps it. */
import { isJsonObject, type JsonObject } from "../../content/json.ts";
import type { TaskDraft } from "../../task/store.ts";
import { type LogLine, MAX_HISTORY, type Task, type TaskError, type TaskEvent } from "../../task/task.ts";
import { PHASE, type Phase } from "../phase.ts";
import { type TaskFacts, taskOf } from "../task-view.ts";

/** One task. Bodies are JSON text, so that nobody outside can change them and every engine gives back the same. */
export interface TaskRecord extends TaskFacts {
  readonly lane: string;
  readonly digest: string;
  readonly payload: string;
  phase: Phase;
  attempt: number;
  dueMs: number | undefined;
  /** Since when it can be claimed; only meaningful while it is ready. */
  readyMs: number;
  workerId: string | undefined;
  holder: string | undefined;
  /** The fencing token: how often it was claimed. */
  token: number;
  /** The token under which it was completed or failed. */
  settledToken: number | undefined;
  updatedAtMs: number;
  progress: string | undefined;
  result: string | undefined;
  error: TaskError | undefined;
  logs: LogLine[];
  /** How many lines it has ever written. */
  lines: number;
  history: TaskEvent[];
}

/** A record for a draft that was just accepted. */
export function recordOf(draft: TaskDraft, seq: number, nowMs: number): TaskRecord {
  const later = draft.notBeforeMs !== undefined && draft.notBeforeMs > nowMs;
  return {
    seq,
    id: draft.id,
    type: draft.type,
    modelName: draft.modelName,
    lane: draft.lane,
    digest: draft.digest,
    payload: JSON.stringify(draft.payload),
    priority: draft.priority,
    phase: later ? PHASE.delayed : PHASE.ready,
    attempt: 0,
    maxAttempts: draft.maxAttempts,
    dueMs: later ? draft.notBeforeMs : undefined,
    readyMs: nowMs,
    workerId: undefined,
    holder: undefined,
    token: 0,
    settledToken: undefined,
    idempotencyKey: draft.idempotencyKey,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    progress: undefined,
    result: undefined,
    error: undefined,
    logs: [],
    lines: 0,
    history: [{ atMs: nowMs, kind: "submitted" }],
  };
}

/** Adds what happened to the history and forgets what is too old for it, but never the first event. */
export function remember(record: TaskRecord, event: TaskEvent): void {
  record.history.push(event);
  if (record.history.length > MAX_HISTORY) record.history.splice(1, 1);
}

/** The task as a caller sees it: a copy. */
export function taskOfRecord(record: TaskRecord): Task {
  return taskOf(record, {
    payload: parseObject(record.payload) ?? {},
    progress: parseObject(record.progress),
    result: parseObject(record.result),
    logs: [...record.logs],
    history: [...record.history],
  });
}

/** How much of a task's text travels with it, in bytes. */
export function bytesOf({ payload, progress = "", logs }: TaskRecord): number {
  const lines = logs.reduce((sum, { message }) => sum + Buffer.byteLength(message), 0);
  return Buffer.byteLength(payload) + Buffer.byteLength(progress) + lines;
}

/** The object that a JSON text holds; undefined if there is no text. */
export function parseObject(text: string | undefined): JsonObject | undefined {
  if (text === undefined) return undefined;
  const value: unknown = JSON.parse(text);
  return isJsonObject(value) ? value : undefined;
}
