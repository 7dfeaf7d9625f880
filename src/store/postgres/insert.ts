/** Takes new tasks in, many submits at once. */
import * as z from "zod";
import { IdempotencyConflictError, InvalidInputError } from "../../errors.ts";
import type { SubmitReceipt } from "../../task/queue.ts";
import type { TaskDraft } from "../../task/store.ts";
import { taskChecksum } from "../checksum.ts";
import { PHASE } from "../phase.ts";
import { parsed } from "../rows.ts";
import type { Answer, Pending } from "./batches.ts";
import type { Database, Statement } from "./database.ts";
import { isDuplicate } from "./failure.ts";

/** Submits with the same new id or key at the same time are told apart after so many tries. */
const MAX_RACES = 10;

const KNOWN = `
  SELECT id, digest, idempotency_key FROM tasks
   WHERE id = ANY($1::text[]) OR (idempotency_key IS NOT NULL AND idempotency_key = ANY($2::text[]))`;

// The numbers are given in the order of the lists. Signed in the same statement, if it is a transaction of its own.
const INSERT = `
  WITH new AS MATERIALIZED (
    SELECT nextval('task_numbers') AS seq, d.* FROM (
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::smallint[], $7::integer[],
                           $8::double precision[], $9::text[], $10::text[], $11::double precision[], $12::text[],
                           $13::bigint[])
        WITH ORDINALITY AS u (id, type, model_name, lane, priority, phase, max_attempts, due_ms, idempotency_key, digest,
                              now_ms, payload, crc, n)
       ORDER BY n) d
  ), counted AS (
    INSERT INTO task_counts (phase, n) SELECT phase, count(*) FROM new GROUP BY phase
  ), bodies AS (
    INSERT INTO payloads (seq, payload, crc) SELECT seq, payload, crc FROM new
  ), signed AS (
    INSERT INTO commits (id) SELECT $14::uuid WHERE $14::uuid IS NOT NULL
  )
  INSERT INTO tasks (seq, id, type, model_name, lane, priority, phase, max_attempts, due_ms, ready_ms, idempotency_key,
                     digest, created_ms, updated_ms)
  SELECT seq, id, type, model_name, lane, priority, phase, max_attempts, due_ms, now_ms, idempotency_key, digest, now_ms,
         now_ms
    FROM new`;

/** A submit that somebody waits for, with its payloads as they were when it was called. */
export interface InsertCall extends Pending {
  readonly drafts: readonly TaskDraft[];
  readonly payloads: readonly string[];
  readonly nowMs: number;
  resolve(receipts: readonly SubmitReceipt[]): void;
}

/** Inserts the drafts of each call, or none of them. */
export async function insertTasks(
  database: Database,
  calls: readonly InsertCall[],
): Promise<readonly Answer[]> {
  const keyed = calls.some(({ drafts }) => drafts.some(({ idempotencyKey }) => idempotencyKey !== undefined));
  if (!keyed) {
    try {
      // Ids are made by queues and never meet, so they are not looked for first.
      await database.commitOne(
        (id) => insertion(calls, id),
        async () => [],
      );
      return calls.map(
        (call) => () => call.resolve(call.drafts.map(({ id }) => ({ taskId: id, created: true }))),
      );
    } catch (error) {
      if (!isDuplicate(error)) throw error;
    }
  }
  for (let races = 1; ; races++) {
    try {
      return await insertCarefully(database, calls);
    } catch (error) {
      if (!isDuplicate(error) || races === MAX_RACES) throw error;
    }
  }
}

const knownRow = z.object({ id: z.string(), digest: z.string(), idempotency_key: z.string().nullable() });

/** What is there of ids and keys, growing with each call that is taken in. */
interface Known {
  readonly ids: Set<string>;
  readonly keys: Map<string, { readonly id: string; readonly digest: string }>;
}

async function insertCarefully(database: Database, calls: readonly InsertCall[]): Promise<readonly Answer[]> {
  return database.transact(async (tx) => {
    const drafts = calls.flatMap((call) => call.drafts);
    const keys = drafts.flatMap(({ idempotencyKey }) => idempotencyKey ?? []);
    const [rows = []] = await tx.run({ text: KNOWN, values: [drafts.map(({ id }) => id), keys] });
    const known: Known = { ids: new Set(), keys: new Map() };
    for (const row of rows) {
      const { id, digest, idempotency_key: key } = parsed(knownRow, row);
      known.ids.add(id);
      if (key !== null) known.keys.set(key, { id, digest });
    }
    const taken: InsertCall[] = [];
    const value = calls.map((call): Answer => {
      try {
        const { receipts, fresh } = takeIn(call, known);
        taken.push(fresh);
        return () => call.resolve(receipts);
      } catch (error) {
        return () => call.reject(error);
      }
    });
    const writes = taken.some((call) => call.drafts.length > 0) ? [insertion(taken, null)] : [];
    return { writes, value };
  });
}

/** Which of a call's drafts are new. @throws IdempotencyConflictError, InvalidInputError; then `known` is as before */
function takeIn(call: InsertCall, known: Known): { receipts: readonly SubmitReceipt[]; fresh: InsertCall } {
  const drafts: TaskDraft[] = [];
  const payloads: string[] = [];
  const here: Known = { ids: new Set(), keys: new Map() };
  const receipts = call.drafts.map((draft, i): SubmitReceipt => {
    const { id, digest, idempotencyKey: key } = draft;
    const old = key === undefined ? undefined : (here.keys.get(key) ?? known.keys.get(key));
    if (key !== undefined && old) {
      if (old.digest !== digest) throw new IdempotencyConflictError(key, old.id);
      return { taskId: old.id, created: false };
    }
    if (known.ids.has(id) || here.ids.has(id)) throw new InvalidInputError(`the task id ${id} is taken`);
    here.ids.add(id);
    if (key !== undefined) here.keys.set(key, { id, digest });
    drafts.push(draft);
    payloads.push(call.payloads[i] ?? "{}");
    return { taskId: id, created: true };
  });
  for (const id of here.ids) known.ids.add(id);
  for (const [key, task] of here.keys) known.keys.set(key, task);
  return { receipts, fresh: { ...call, drafts, payloads } };
}

function insertion(calls: readonly InsertCall[], signature: string | null): Statement {
  const rows = calls.flatMap(({ drafts, payloads, nowMs }) =>
    drafts.map((draft, i) => newRow(draft, payloads[i] ?? "{}", nowMs)),
  );
  const columns = Array.from({ length: COLUMNS }, (_, column) => rows.map((row) => row[column]));
  return { text: INSERT, values: [...columns, signature] };
}

/** How many columns {@link newRow} gives. */
const COLUMNS = 13;

function newRow(draft: TaskDraft, payload: string, nowMs: number): readonly unknown[] {
  const { notBeforeMs } = draft;
  const later = notBeforeMs !== undefined && notBeforeMs > nowMs;
  const fixed = { ...draft, idempotencyKey: draft.idempotencyKey ?? null, createdMs: nowMs };
  return [
    draft.id,
    draft.type,
    draft.modelName,
    draft.lane,
    draft.priority,
    later ? PHASE.delayed : PHASE.ready,
    draft.maxAttempts,
    later ? notBeforeMs : null,
    fixed.idempotencyKey,
    draft.digest,
    nowMs,
    payload,
    taskChecksum(fixed, payload),
  ];
}
