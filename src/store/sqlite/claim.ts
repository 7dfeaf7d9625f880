/**
 * Hands out the best ready tasks.
 *
 * Each lane has its head at the front of the index `tasks_ready`, so a claim looks at one entry for each lane that
 * suits it, however many tasks wait. A filter over one index for all lanes was rejected: it slows down as tasks that
 * the worker does not take pile up in front.
 */
import * as z from "zod";
import type { LaneChoice, StoreClaim, StoredClaim } from "../../task/store.ts";
import { StoreCorruptError } from "../../errors.ts";
import { damageEffect } from "../effect.ts";
import { Heap } from "../heap.ts";
import { PHASE } from "../phase.ts";
import type { Connection } from "./connection.ts";
import { type LaneScan, lanesIn } from "./lanes.ts";
import { leasedTask, wholeRow } from "./read.ts";
import { parsed } from "../rows.ts";
import { addEvent, applyEffect } from "./transition.ts";

/** The best task of one lane. */
export const HEAD_OF_LANE = `
  SELECT seq, priority FROM tasks INDEXED BY tasks_ready WHERE phase = 0 AND lane = ?1 ORDER BY priority DESC, seq LIMIT 1`;

/** How much of a task's text travels with it. SQLite knows the length of a text without reading it. */
const SIZE = `
  SELECT octet_length(p.payload) + coalesce(octet_length(o.progress), 0)
         + (SELECT coalesce(sum(octet_length(message)), 0) FROM logs WHERE seq = :seq) AS bytes
    FROM payloads p LEFT JOIN outcomes o ON o.seq = p.seq WHERE p.seq = :seq`;

const LEASE = `
  UPDATE tasks SET phase = ${PHASE.leased}, attempt = attempt + 1, token = token + 1, events = events + 1,
                   due_ms = ?2, lease_ms = ?2 - ?3, updated_ms = ?3, worker_id = ?4, holder = ?5
   WHERE seq = ?1`;

interface Head {
  readonly seq: number;
  readonly priority: number;
  readonly lane: string;
}

const headRow = z.object({ seq: z.int(), priority: z.int() });
/** What a lease counts up. */
const countedRow = z.object({ id: z.string(), token: z.int(), events: z.int() });
const sizeRow = z.object({ bytes: z.int() });

/** What a claim gave. */
export interface Claimed {
  readonly claims: readonly StoredClaim[];
  /** Tasks that were found damaged, and were dead-lettered so that they do not stand in the way of the others. */
  readonly damagedIds: readonly string[];
}

/** Leases up to `limit` tasks of the lanes that suit the worker: higher priority first, then first in, first out. */
export function claimTasks(
  connection: Connection,
  claim: StoreClaim,
  scan: LaneScan,
  nowMs: number,
): Claimed {
  const heads = new Heap<Head>((a, b) =>
    a.priority === b.priority ? a.seq < b.seq : a.priority > b.priority,
  );
  const { lanes, ranges } = claim.choice;
  for (const lane of new Set([...lanes, ...scan.next(ranges)])) offerHead(connection, lane, heads);
  const claims: StoredClaim[] = [];
  const damagedIds: string[] = [];
  let bytes = 0;
  while (claims.length < claim.limit) {
    const best = heads.pop();
    if (!best) break;
    // The first may have any size, and a single one is what most ask for.
    if (claim.limit > 1) bytes += sizeOf(connection, best.seq);
    if (claims.length > 0 && bytes > claim.maxBytes) break;
    const leased = leaseTask(connection, best.seq, claim, nowMs);
    if (typeof leased === "string") damagedIds.push(leased);
    else claims.push(leased);
    if (claims.length < claim.limit) offerHead(connection, best.lane, heads);
  }
  return { claims, damagedIds };
}

/** Whether a lane of `choice` has a ready task. */
export function anyReady(connection: Connection, { lanes, ranges }: LaneChoice): boolean {
  return (
    lanes.some((lane) => connection.get(HEAD_OF_LANE, [lane])) ||
    ranges.some((range) => lanesIn(connection, range, 1).length > 0)
  );
}

function sizeOf(connection: Connection, seq: number): number {
  const row = connection.get(SIZE, { seq });
  // Without its payload the task is damaged, which leasing it will find.
  return row ? parsed(sizeRow, row).bytes : 0;
}

function offerHead(connection: Connection, lane: string, heads: Heap<Head>): void {
  const row = connection.get(HEAD_OF_LANE, [lane]);
  if (row) heads.push({ ...parsed(headRow, row), lane });
}

/** @returns the id of the task if it cannot be handed out, because what was submitted is damaged */
function leaseTask(
  connection: Connection,
  seq: number,
  claim: StoreClaim,
  nowMs: number,
): StoredClaim | string {
  const { workerId, holder, leaseUntilMs } = claim;
  const row = wholeRow(connection, seq);
  const { id, token: last, events: before } = parsed(countedRow, row);
  const [token, events] = [last + 1, before + 1];
  connection.run(LEASE, [seq, leaseUntilMs, nowMs, workerId, holder]);
  connection.counts.moved(PHASE.ready, PHASE.leased);
  addEvent(connection, seq, events, { atMs: nowMs, kind: "claimed", workerId, token });
  try {
    return { task: leasedTask(connection, row, { workerId, leaseUntilMs, nowMs }), token };
  } catch (error) {
    if (!(error instanceof StoreCorruptError)) throw error;
    const mover = { seq, events, phase: PHASE.leased, token, worker_id: workerId };
    applyEffect(connection, mover, damageEffect(error.message), nowMs);
    return id;
  }
}
