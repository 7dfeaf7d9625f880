/** Takes new tasks in. */
import * as z from "zod";
import { IdempotencyConflictError, InvalidInputError } from "../../errors.ts";
import type { SubmitReceipt } from "../../task/queue.ts";
import type { TaskDraft } from "../../task/store.ts";
import { PHASE } from "../phase.ts";
import { taskChecksum } from "../checksum.ts";
import type { Connection } from "./connection.ts";
import { parsed } from "../rows.ts";

/** A draft whose payload is text already, as it was when the submit was called. */
export interface PackedDraft {
  readonly draft: TaskDraft;
  readonly payload: string;
}

const BY_KEY = "SELECT id, digest FROM tasks WHERE idempotency_key = :key";

// The id is made by the queue, so a conflict is a caller's mistake: it is found by nothing being inserted. RETURNING
// was rejected: SQLite gathers what it returns in a table of its own.
const INSERT = `
  INSERT INTO tasks (id, type, model_name, lane, priority, phase, max_attempts, due_ms, ready_ms,
                     idempotency_key, digest, created_ms, updated_ms)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?9, ?9)
  ON CONFLICT (id) DO NOTHING`;

const INSERT_PAYLOAD = "INSERT INTO payloads (seq, payload, crc) VALUES (?1, ?2, ?3)";

const knownRow = z.object({ id: z.string(), digest: z.string() });

/**
 * Inserts one task, or finds the one that has its idempotency key. That it was submitted is not written into its
 * history: its row says when.
 */
export function insertTask(
  connection: Connection,
  { draft, payload }: PackedDraft,
  nowMs: number,
): SubmitReceipt {
  const known =
    draft.idempotencyKey === undefined ? undefined : connection.get(BY_KEY, { key: draft.idempotencyKey });
  if (draft.idempotencyKey !== undefined && known) {
    const { id, digest } = parsed(knownRow, known);
    if (digest !== draft.digest) throw new IdempotencyConflictError(draft.idempotencyKey, id);
    return { taskId: id, created: false };
  }
  const later = draft.notBeforeMs !== undefined && draft.notBeforeMs > nowMs;
  const phase = later ? PHASE.delayed : PHASE.ready;
  const seq = connection.insert(INSERT, [
    draft.id,
    draft.type,
    draft.modelName,
    draft.lane,
    draft.priority,
    phase,
    draft.maxAttempts,
    later ? (draft.notBeforeMs ?? null) : null,
    nowMs,
    draft.idempotencyKey ?? null,
    draft.digest,
  ]);
  if (seq === undefined) throw new InvalidInputError(`the task id ${draft.id} is taken`);
  connection.counts.moved(undefined, phase);
  const fixed = { ...draft, idempotencyKey: draft.idempotencyKey ?? null, createdMs: nowMs };
  connection.run(INSERT_PAYLOAD, [seq, payload, taskChecksum(fixed, payload)]);
  return { taskId: draft.id, created: true };
}
