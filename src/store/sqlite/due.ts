/** What the passing of time does: delayed tasks become ready, and leases end. */
import * as z from "zod";
import { expiryEffect } from "../effect.ts";
import { PHASE } from "../phase.ts";
import { MAX_DUE_BATCH } from "../stores.ts";
import type { Connection } from "./connection.ts";
import { leaseRow, type LeaseRow, parsed } from "../rows.ts";
import { applyEffect } from "./transition.ts";

/**
 * The tasks that are due, those due longest first. The limit is no parameter: SQLite looks at the value of one when
 * it plans, and plans anew each time that one is bound, which takes ten times as long as finding nothing.
 */
export const DUE_TASKS: string = `
  SELECT seq, id, lane, phase, token, settled_token, due_ms, worker_id, holder, attempt, max_attempts, events
    FROM tasks WHERE due_ms <= :nowMs ORDER BY due_ms, seq LIMIT ${MAX_DUE_BATCH}`;

// It has waited since the instant that it was delayed to, not since somebody noticed.
const WAKE = `UPDATE tasks SET phase = ${PHASE.ready}, ready_ms = due_ms, due_ms = NULL WHERE seq = :seq`;

/** Lengthens, once, the leases that are overdue by as long as they were. */
export const LENGTHEN_LAPSED: string = `
  UPDATE tasks INDEXED BY tasks_due SET due_ms = :nowMs + lease_ms, lease_ms = NULL
   WHERE due_ms <= :nowMs AND phase = ${PHASE.leased} AND lease_ms IS NOT NULL`;

/** The next instant at which something falls due. */
export const NEXT_DUE = "SELECT min(due_ms) AS due_ms FROM tasks WHERE due_ms IS NOT NULL";

/** What settling changed. */
export interface Settled {
  readonly readyLanes: readonly string[];
  readonly deadTaskIds: readonly string[];
}

const namedRow = z.object({ id: z.string(), lane: z.string() });

/**
 * Gives workers whose leases lapsed while no node was there as long again to come back. Each lease is lengthened once
 * until its worker renews it, so that an owner which dies again and again does not keep it for ever.
 */
export function lengthenLapsedLeases(connection: Connection, nowMs: number): void {
  connection.run(LENGTHEN_LAPSED, { nowMs });
}

/** Settles what is due at `nowMs`, at most {@link MAX_DUE_BATCH} tasks. */
export function settleDueTasks(connection: Connection, nowMs: number): Settled {
  const readyLanes: string[] = [];
  const deadTaskIds: string[] = [];
  for (const row of connection.all(DUE_TASKS, { nowMs })) {
    const { id, lane } = parsed(namedRow, row);
    if (settleOne(connection, parsed(leaseRow, row), nowMs)) readyLanes.push(lane);
    else deadTaskIds.push(id);
  }
  return { readyLanes, deadTaskIds };
}

/** @returns whether the task can be claimed now; if not, it has ended */
function settleOne(connection: Connection, row: LeaseRow, nowMs: number): boolean {
  if (row.phase === PHASE.delayed) {
    connection.run(WAKE, { seq: row.seq });
    connection.counts.moved(PHASE.delayed, PHASE.ready);
    return true;
  }
  const effect = expiryEffect(row.attempt, row.max_attempts);
  applyEffect(connection, row, effect, nowMs);
  return effect.phase === PHASE.ready;
}

const nextRow = z.object({ due_ms: z.number().nullable() });

/** The next instant at which a task falls due; undefined if none will. */
export function nextDueMs(connection: Connection): number | undefined {
  return parsed(nextRow, connection.get(NEXT_DUE)).due_ms ?? undefined;
}
