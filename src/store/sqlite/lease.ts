/**
 * What is done under a lease, or to a task that may have one.
 *
 * A lease is checked against the row itself inside the transaction that uses it: phase, token and holder. One that
 * has run out, as after a pause of the queue's owner, still counts for a renewal and for a result while nobody else
 * was given the task: doing it again would help nobody.
 */
import type { JsonObject } from "../../content/json.ts";
import { LeaseLostError, TaskFinishedError, TaskNotFoundError } from "../../errors.ts";
import { mergedProgress } from "../../task/drafts.ts";
import type { TaskNote } from "../../task/queue.ts";
import type { HeldLease, Settlement } from "../../task/store.ts";
import { type LogLine, MAX_LOG_LINES } from "../../task/task.ts";
import { cancellationEffect, isRepetition, settlementEffect } from "../effect.ts";
import { PHASE, stateOf } from "../phase.ts";
import { textChecksum } from "../checksum.ts";
import type { Connection } from "./connection.ts";
import { leaseRow, type LeaseRow, objectOf, parsed } from "../rows.ts";
import { applyEffect } from "./transition.ts";
import * as z from "zod";

const BY_ID = `
  SELECT seq, phase, token, settled_token, due_ms, worker_id, holder, attempt, max_attempts, events
    FROM tasks WHERE id = ?1`;

const RENEW = `
  UPDATE tasks SET phase = ${PHASE.leased}, due_ms = :leaseUntilMs, lease_ms = :leaseUntilMs - :nowMs, updated_ms = :nowMs
   WHERE id = :taskId AND phase = :phase AND token = :token AND holder = :holder`;

const RESULT = "SELECT result FROM outcomes WHERE seq = :seq";

const TOUCH = "UPDATE tasks SET updated_ms = :nowMs WHERE seq = :seq";

const PROGRESS = "SELECT progress FROM outcomes WHERE seq = :seq";

const SET_PROGRESS = `
  INSERT INTO outcomes (seq, progress, progress_crc) VALUES (:seq, :progress, :crc)
  ON CONFLICT (seq) DO UPDATE SET progress = excluded.progress, progress_crc = excluded.progress_crc`;

const LAST_LOG = "SELECT max(n) AS n FROM logs WHERE seq = :seq";

const ADD_LOG =
  "INSERT INTO logs (seq, n, at_ms, stream, message) VALUES (:seq, :n, :atMs, :stream, :message)";

const FORGET_LOGS = "DELETE FROM logs WHERE seq = :seq AND n <= :upTo";

/** The row that leases of a task are compared with; undefined if the task is unknown. */
export function findLease(connection: Connection, taskId: string): LeaseRow | undefined {
  const row = connection.get(BY_ID, [taskId]);
  return row && parsed(leaseRow, row);
}

/** Moves the end of a lease. @throws LeaseLostError */
export function renewLease(
  connection: Connection,
  lease: HeldLease,
  leaseUntilMs: number,
  nowMs: number,
): void {
  const { taskId, token, holder } = lease;
  const values = { taskId, token, holder, leaseUntilMs, nowMs };
  if (connection.run(RENEW, { ...values, phase: PHASE.leased }) > 0) return;
  // It had run out, and nobody else was given the task.
  const revived = connection.run(RENEW, { ...values, phase: PHASE.ready });
  if (revived === 0) throw new LeaseLostError(taskId, token);
  connection.counts.moved(PHASE.ready, PHASE.leased);
}

/** Adds progress and log lines. @throws LeaseLostError, MessageTooLargeError */
export function addNote(connection: Connection, lease: HeldLease, note: TaskNote, nowMs: number): void {
  const { seq } = heldTask(connection, lease, nowMs);
  if (note.progress) mergeProgress(connection, seq, note.progress);
  if (note.logs) appendLogs(connection, seq, note.logs);
  connection.run(TOUCH, { seq, nowMs });
}

/** Ends a lease. Does nothing if the lease ended the task in the same way before. @throws LeaseLostError, TaskFinishedError */
export function settleLease(
  connection: Connection,
  lease: HeldLease,
  settlement: Settlement,
  nowMs: number,
): void {
  const row = findLease(connection, lease.taskId);
  const final = settlement.kind === "completed" || settlement.kind === "failed";
  if (final && row?.settled_token === lease.token && row.holder === lease.holder) {
    if (isRepetition(settlement, row.phase, resultOf(connection, row.seq))) return;
    throw new TaskFinishedError(lease.taskId, stateOf(row.phase));
  }
  const held = checkHeld(row, lease, settlement.kind === "completed" ? undefined : nowMs);
  applyEffect(connection, held, settlementEffect(settlement, nowMs), nowMs, final ? lease.token : null);
}

/** Ends a task whoever has it. @throws TaskNotFoundError, TaskFinishedError */
export function cancelTask(connection: Connection, taskId: string, reason: string, nowMs: number): void {
  const row = findLease(connection, taskId);
  if (!row) throw new TaskNotFoundError(taskId);
  if (row.phase >= PHASE.completed) throw new TaskFinishedError(taskId, stateOf(row.phase));
  applyEffect(connection, row, cancellationEffect(reason), nowMs);
}

function heldTask(connection: Connection, lease: HeldLease, nowMs: number): LeaseRow {
  return checkHeld(findLease(connection, lease.taskId), lease, nowMs);
}

const resultRow = z.object({ result: z.string().nullable() });

function resultOf(connection: Connection, seq: number): JsonObject | undefined {
  const row = connection.get(RESULT, { seq });
  return row && objectOf(parsed(resultRow, row).result);
}

/** With `nowMs` a lease that has run out is refused as well. */
function checkHeld(row: LeaseRow | undefined, lease: HeldLease, nowMs: number | undefined): LeaseRow {
  const mine = row?.token === lease.token && row.holder === lease.holder;
  const leased = row?.phase === PHASE.leased;
  const inForce = leased && (nowMs === undefined || (row.due_ms ?? Infinity) > nowMs);
  const unclaimed = row?.phase === PHASE.ready && nowMs === undefined;
  if (!row || !mine || !(inForce || unclaimed)) throw new LeaseLostError(lease.taskId, lease.token);
  return row;
}

const progressRow = z.object({ progress: z.string().nullable() });

function mergeProgress(connection: Connection, seq: number, progress: JsonObject): void {
  const row = connection.get(PROGRESS, { seq });
  const before = row && objectOf(parsed(progressRow, row).progress);
  const merged = mergedProgress(before, progress);
  connection.run(SET_PROGRESS, { seq, progress: merged, crc: textChecksum(seq, merged) });
}

const lastRow = z.object({ n: z.int().nullable() });

function appendLogs(connection: Connection, seq: number, lines: readonly LogLine[]): void {
  let n = parsed(lastRow, connection.get(LAST_LOG, { seq })).n ?? 0;
  for (const { atMs, stream, message } of lines.slice(-MAX_LOG_LINES)) {
    n += 1;
    connection.run(ADD_LOG, { seq, n, atMs, stream, message });
  }
  if (n > MAX_LOG_LINES) connection.run(FORGET_LOGS, { seq, upTo: n - MAX_LOG_LINES });
}
