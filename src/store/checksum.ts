/**
 * Checksums of what a task is and what came of it, so that a bit that flipped on the disk is named and not handed out.
 *
 * SQLite has no checksum of its own over a page of the main file, and PostgreSQL before 18 only where it was asked for:
 * their checks see broken structure, not a changed letter. CRC-32 finds every error of up to three bits in a text of this size, and costs less than storing it.
 * A row from before there were checksums has NULL and is not checked.
 */
import { crc32 } from "node:zlib";
import { StoreCorruptError } from "../errors.ts";
import { DAMAGE_HINT, type Row } from "./rows.ts";

/** What never changes in a task's row. */
export interface FixedFacts {
  readonly id: string;
  readonly type: string;
  readonly modelName: string;
  readonly lane: string;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly idempotencyKey: string | null;
  readonly digest: string;
  readonly createdMs: number;
}

/** Over a task as it was submitted. It covers the id, so that a body under another task's number is noticed. */
export function taskChecksum(facts: FixedFacts, payload: string): number {
  const { id, type, modelName, lane, priority, maxAttempts, idempotencyKey, digest, createdMs } = facts;
  const fixed = [id, type, modelName, lane, priority, maxAttempts, idempotencyKey, digest, createdMs];
  return crc32(payload, crc32(JSON.stringify(fixed)));
}

/** Over texts that belong to the task number `seq`, each of which may be missing. */
export function textChecksum(seq: number, ...texts: readonly (string | null)[]): number {
  return texts.reduce((sum, text) => crc32(text === null ? "-" : `+${text}`, sum), crc32(String(seq)));
}

/** Over a result that waits for its delivery. */
export function outboxChecksum(queue: string, taskId: string, token: number, outcome: string): number {
  return textChecksum(token, queue, taskId, outcome);
}

/** Whether a row of the outbox is not what was written. One from before there were checksums cannot be told. */
export function isDamagedEntry(row: Row): boolean {
  const { queue, task_id: taskId, token, outcome, crc } = row;
  if (crc === null) return false;
  return crc !== outboxChecksum(String(queue), String(taskId), Number(token), String(outcome));
}

/** The columns, beside the facts of a task, that {@link damageOf} looks at; from `tasks t`, `payloads p`, `outcomes o`. */
export const CHECKED_COLUMNS =
  "t.lane, t.digest, p.payload, p.crc, o.progress, o.result, o.crc AS outcome_crc, o.progress_crc";

/** Which part of a whole task is not what was written; undefined if all of it is. */
export function damageOf(row: Row): "task" | "result" | "progress" | undefined {
  if (row["payload"] === null) return "task";
  if (row["crc"] !== null && row["crc"] !== checksumOfRow(row)) return "task";
  const seq = Number(row["seq"]);
  const [error, result, progress] = [textIn(row, "error"), textIn(row, "result"), textIn(row, "progress")];
  const { outcome_crc: outcome, progress_crc: noted } = row;
  if (typeof outcome === "number" && outcome !== textChecksum(seq, error, result)) return "result";
  if (typeof noted === "number" && noted !== textChecksum(seq, progress)) return "progress";
  return undefined;
}

/** @throws StoreCorruptError that names the task, if a whole task is not what was written */
export function checkTask(row: Row): void {
  const damaged = damageOf(row);
  if (damaged === undefined) return;
  const what = damaged === "task" ? "what was submitted" : `its ${damaged}`;
  throw new StoreCorruptError(
    `the task ${String(row["id"])} is damaged on disk: ${what} is not what was written`,
    {
      hint: DAMAGE_HINT,
    },
  );
}

function checksumOfRow(row: Row): number {
  const facts = {
    id: String(row["id"]),
    type: String(row["type"]),
    modelName: String(row["model_name"]),
    lane: String(row["lane"]),
    priority: Number(row["priority"]),
    maxAttempts: Number(row["max_attempts"]),
    idempotencyKey: textIn(row, "idempotency_key"),
    digest: String(row["digest"]),
    createdMs: Number(row["created_ms"]),
  };
  return taskChecksum(facts, String(row["payload"]));
}

function textIn(row: Row, column: string): string | null {
  const value = row[column];
  return typeof value === "string" ? value : null;
}
