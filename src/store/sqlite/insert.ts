/** Takes new tasks in. */
import * as z from "zod";
import { IdempotencyConflictError, InvalidInputError } from "../../errors.ts";
import type { SubmitReceipt } from "../../task/queue.ts";
import type { TaskDraft } from "../../task/store.ts";
import { PHASE } from "../phase.ts";
import { taskChecksum } from "./checksum.ts";
import type { Connection } from "./connection.ts";
import { parsed } from "./rows.ts";
import { addEvent } from "./transition.ts";

/** A draft whose payload is text already, as it was when the submit was called. */
export interface PackedDraft {
  readonly draft: TaskDraft;
  readonly payload: string;
}

const BY_KEY = "SELECT id, digest FROM tasks WHERE idempotency_key = :key";

// The id is made by the queue, so a conflict is a caller's mistake: it is found by the empty answer.
const INSERT = `
  INSERT INTO tasks (id, type, model_name, lane, priority, phase, max_attempts, due_ms, ready_ms,
                     idempotency_key, digest, created_ms, updated_ms)
  VALUES (:id, :type, :modelName, :lane, :priority, :phase, :maxAttempts, :dueMs, :nowMs,
          :idempotencyKey, :digest, :nowMs, :nowMs)
  ON CONFLICT (id) DO NOTHING
  RETURNING seq`;

const INSERT_PAYLOAD = "INSERT INTO payloads (seq, payload, crc) VALUES (:seq, :payload, :crc)";

const knownRow = z.object({ id: z.string(), digest: z.string() });
const insertedRow = z.object({ seq: z.int() });

/** Inserts one task, or finds the one that has its idempotency key. */
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
  const row = connection.get(INSERT, {
    id: draft.id,
    type: draft.type,
    modelName: draft.modelName,
    lane: draft.lane,
    priority: draft.priority,
    phase: later ? PHASE.delayed : PHASE.ready,
    maxAttempts: draft.maxAttempts,
    dueMs: later ? (draft.notBeforeMs ?? null) : null,
    idempotencyKey: draft.idempotencyKey ?? null,
    digest: draft.digest,
    nowMs,
  });
  if (!row) throw new InvalidInputError(`the task id ${draft.id} is taken`);
  const { seq } = parsed(insertedRow, row);
  const fixed = { ...draft, idempotencyKey: draft.idempotencyKey ?? null, createdMs: nowMs };
  connection.run(INSERT_PAYLOAD, { seq, payload, crc: taskChecksum(fixed, payload) });
  addEvent(connection, seq, 1, { atMs: nowMs, kind: "submitted" });
  return { taskId: draft.id, created: true };
}
