/** Rows of tasks as values of ours. Whatever does not fit means that the database is damaged. */
import * as z from "zod";
import { isJsonObject, type JsonObject } from "../content/json.ts";
import { StoreCorruptError } from "../errors.ts";
import {
  taskErrorSchema,
  taskEventSchema,
  type LogLine,
  logLineSchema,
  type TaskEvent,
} from "../task/task.ts";
import { PHASE, type Phase } from "./phase.ts";
import type { TaskBodies, TaskFacts } from "./task-view.ts";

/** A row as an engine gives it, before a schema makes it ours. */
export type Row = Readonly<Record<string, unknown>>;

/** What to do about a row that is not what was written, in any engine. */
export const DAMAGE_HINT = "stop the node, keep a copy of the database, and restore a backup";

/** The columns of {@link taskFacts}, from `tasks t` and `outcomes o`. */
export const FACT_COLUMNS: string =
  "t.seq, t.id, t.type, t.model_name, t.priority, t.phase, t.attempt, t.max_attempts, t.token, t.due_ms, " +
  "t.worker_id, t.idempotency_key, t.events, t.created_ms, t.updated_ms, o.error";

/** Not the schema of content/json.ts, which copies every member. */
const storedObject = z.custom<JsonObject>(isJsonObject);
const optionalText = z.string().nullable();
const optionalNumber = z.number().nullable();

const factRow = z.object({
  seq: z.int(),
  id: z.string(),
  type: z.string(),
  model_name: z.string(),
  priority: z.int(),
  phase: z.enum(PHASE),
  attempt: z.int(),
  max_attempts: z.int(),
  token: z.int(),
  due_ms: optionalNumber,
  worker_id: optionalText,
  idempotency_key: optionalText,
  events: z.int(),
  created_ms: z.number(),
  updated_ms: z.number(),
  error: optionalText,
});

/** The facts of a task, with what only this engine keeps beside them. */
export interface StoredFacts extends TaskFacts {
  readonly token: number;
  /** How many events it has had; the last of them has this number. */
  readonly events: number;
}

/** @param row - with {@link FACT_COLUMNS} */
export function taskFacts(row: Row): StoredFacts {
  const fact = parsed(factRow, row);
  return {
    seq: fact.seq,
    id: fact.id,
    type: fact.type,
    modelName: fact.model_name,
    priority: fact.priority,
    phase: fact.phase,
    attempt: fact.attempt,
    maxAttempts: fact.max_attempts,
    token: fact.token,
    dueMs: fact.due_ms ?? undefined,
    workerId: fact.worker_id ?? undefined,
    idempotencyKey: fact.idempotency_key ?? undefined,
    events: fact.events,
    createdAtMs: fact.created_ms,
    updatedAtMs: fact.updated_ms,
    error: fact.error === null ? undefined : parsed(taskErrorSchema, jsonOf(fact.error)),
  };
}

const bodyRow = z.object({ payload: z.string(), progress: optionalText, result: optionalText });

/** @param row - with the columns of checksum.ts */
export function bodiesOf(row: Row, logs: readonly LogLine[], history: readonly TaskEvent[]): TaskBodies {
  const body = parsed(bodyRow, row);
  return {
    payload: objectOf(body.payload) ?? {},
    progress: objectOf(body.progress),
    result: objectOf(body.result),
    logs,
    history,
  };
}

/** The object that a column holds as JSON text; undefined for NULL. */
export function objectOf(text: string | null): JsonObject | undefined {
  return text === null ? undefined : parsed(storedObject, jsonOf(text));
}

/** The value that a column holds as JSON text. @throws StoreCorruptError if it is none */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new StoreCorruptError("the database holds a text that is not JSON", {
      cause: error,
      hint: DAMAGE_HINT,
    });
  }
}

/**
 * A task's history, oldest first. Its first event is not kept but follows from the task; files from before it was
 * left out have it as number 1.
 *
 * @param rows - of the table `history`, in order
 */
export function historyOf(createdAtMs: number, rows: readonly Row[]): readonly TaskEvent[] {
  const later = rows.filter(({ n }) => n !== 1).map(eventOf);
  return [submittedAt(createdAtMs), ...later];
}

/** The first event of every task. */
export function submittedAt(createdAtMs: number): TaskEvent {
  return { atMs: createdAtMs, kind: "submitted" };
}

/** @param row - of the table `history` */
export function eventOf(row: Row): TaskEvent {
  const { at_ms, kind, worker_id, token, detail } = row;
  return parsed(taskEventSchema, {
    atMs: at_ms,
    kind,
    ...(worker_id !== null && { workerId: worker_id }),
    ...(token !== null && { token }),
    ...(detail !== null && { detail }),
  });
}

/** @param row - of the table `logs` */
export function logLineOf(row: Row): LogLine {
  return parsed(logLineSchema, { atMs: row["at_ms"], stream: row["stream"], message: row["message"] });
}

/** What a row leads to through `schema`. @throws StoreCorruptError if it does not fit */
export function parsed<T>(schema: z.ZodType<T>, row: unknown): T {
  const outcome = schema.safeParse(row);
  if (outcome.success) return outcome.data;
  throw new StoreCorruptError(`the database holds a row that cannot be: ${z.prettifyError(outcome.error)}`, {
    hint: DAMAGE_HINT,
  });
}

/** What a lease must be compared with. */
export interface LeaseRow {
  readonly seq: number;
  readonly phase: Phase;
  readonly token: number;
  readonly settled_token: number | null;
  readonly due_ms: number | null;
  readonly worker_id: string | null;
  readonly holder: string | null;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly events: number;
}

/** Accepts a {@link LeaseRow}. */
export const leaseRow: z.ZodType<LeaseRow> = z.object({
  seq: z.int(),
  phase: z.enum(PHASE),
  token: z.int(),
  settled_token: z.int().nullable(),
  due_ms: optionalNumber,
  worker_id: optionalText,
  holder: optionalText,
  attempt: z.int(),
  max_attempts: z.int(),
  events: z.int(),
});
