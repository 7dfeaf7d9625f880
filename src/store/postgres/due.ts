/** What the passing of time does: delayed tasks become ready, and leases end. */
import * as z from "zod";
import { expiryEffect } from "../effect.ts";
import { PHASE } from "../phase.ts";
import { leaseRow, parsed } from "../rows.ts";
import { MAX_DUE_BATCH } from "../stores.ts";
import { type Database, onlyRow } from "./database.ts";
import { Changes } from "./transition.ts";

/** The tasks that are due, those due longest first. What another node is settling is left to it. */
const LOCK_DUE = `
  SELECT id, lane, seq, phase, token, settled_token, due_ms, worker_id, holder, attempt, max_attempts, events
    FROM tasks WHERE due_ms <= $1 ORDER BY due_ms, seq LIMIT ${MAX_DUE_BATCH} FOR UPDATE SKIP LOCKED`;

/** Lengthens, once, the leases that are overdue by as long as they were. */
const LENGTHEN_LAPSED = `
  UPDATE tasks SET due_ms = $1 + lease_ms, lease_ms = NULL
   WHERE seq IN (SELECT seq FROM tasks WHERE due_ms <= $1 AND phase = ${PHASE.leased} AND lease_ms IS NOT NULL
                  FOR UPDATE SKIP LOCKED)`;

const NEXT_DUE = "SELECT min(due_ms) AS due_ms FROM tasks WHERE due_ms IS NOT NULL";

/** What settling changed. */
export interface Settled {
  readonly readyLanes: readonly string[];
  readonly deadTaskIds: readonly string[];
}

const namedRow = z.object({ id: z.string(), lane: z.string() });

/**
 * Settles what is due at `nowMs`, at most {@link MAX_DUE_BATCH} tasks.
 *
 * @param lengthen - gives workers whose leases lapsed as long again to come back, once for each lease
 */
export async function settleDueTasks(database: Database, nowMs: number, lengthen: boolean): Promise<Settled> {
  return database.transact(async (tx) => {
    const longer = lengthen ? [{ text: LENGTHEN_LAPSED, values: [nowMs] }] : [];
    const rows = (await tx.run(...longer, { text: LOCK_DUE, values: [nowMs] })).at(-1) ?? [];
    const changes = new Changes();
    const readyLanes: string[] = [];
    const deadTaskIds: string[] = [];
    for (const row of rows) {
      const { id, lane } = parsed(namedRow, row);
      const task = parsed(leaseRow, row);
      const effect = task.phase === PHASE.delayed ? undefined : expiryEffect(task.attempt, task.max_attempts);
      if (effect) changes.apply(task, effect, nowMs);
      else changes.wake(task.seq);
      if (!effect || effect.phase === PHASE.ready) readyLanes.push(lane);
      else deadTaskIds.push(id);
    }
    return { writes: changes.statements(), value: { readyLanes, deadTaskIds } };
  });
}

const nextRow = z.object({ due_ms: z.number().nullable() });

/** The next instant at which a task falls due; undefined if none will. */
export async function nextDueMs(database: Database): Promise<number | undefined> {
  return parsed(nextRow, onlyRow(await database.query(NEXT_DUE))).due_ms ?? undefined;
}
