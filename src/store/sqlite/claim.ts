/**
 * Hands out the best ready tasks.
 *
 * Each lane has its head at the front of the index `tasks_ready`, so a claim looks at one entry for each lane,
 * however many tasks wait. A filter over one index for all lanes was rejected: it slows down as tasks that the
 * worker does not take pile up in front.
 */
import * as z from "zod";
import type { StoreClaim, StoredClaim } from "../../task/store.ts";
import type { Task } from "../../task/task.ts";
import { StoreCorruptError } from "../../errors.ts";
import { damageEffect } from "../effect.ts";
import { Heap } from "../heap.ts";
import { PHASE } from "../phase.ts";
import type { Connection } from "./connection.ts";
import { taskBySeq } from "./read.ts";
import { parsed } from "./rows.ts";
import { addEvent, applyEffect } from "./transition.ts";

/**
 * The next lane that has a ready task, with its best task: one seek in the index, instead of a walk over all ready
 * tasks. Every lane has a name, so the first comes after ''. The index is named because the planner, which keeps no
 * statistics here, would walk `tasks_by_phase`.
 */
export const NEXT_LANE = `
  SELECT lane, seq, priority FROM tasks INDEXED BY tasks_ready WHERE phase = 0 AND lane > :after
   ORDER BY lane, priority DESC, seq LIMIT 1`;

/** The best task of one lane. */
export const HEAD_OF_LANE = `
  SELECT seq, priority FROM tasks INDEXED BY tasks_ready WHERE phase = 0 AND lane = :lane ORDER BY priority DESC, seq LIMIT 1`;

const LEASE = `
  UPDATE tasks SET phase = ${PHASE.leased}, attempt = attempt + 1, token = token + 1, events = events + 1,
                   due_ms = :leaseUntilMs, worker_id = :workerId, holder = :holder, updated_ms = :nowMs
   WHERE seq = :seq
  RETURNING id, token, events`;

interface Head {
  readonly seq: number;
  readonly priority: number;
  readonly lane: string;
}

const laneRow = z.object({ lane: z.string(), seq: z.int(), priority: z.int() });
const headRow = z.object({ seq: z.int(), priority: z.int() });
const leasedRow = z.object({ id: z.string(), token: z.int(), events: z.int() });

/** What a claim gave. */
export interface Claimed {
  readonly claims: readonly StoredClaim[];
  /** Tasks that were found damaged, and were dead-lettered so that they do not stand in the way of the others. */
  readonly damagedIds: readonly string[];
}

/** Leases up to `limit` tasks of the lanes that the worker takes: higher priority first, then first in, first out. */
export function claimTasks(connection: Connection, claim: StoreClaim, nowMs: number): Claimed {
  const heads = new Heap<Head>((a, b) =>
    a.priority === b.priority ? a.seq < b.seq : a.priority > b.priority,
  );
  for (let head = nextLane(connection, ""); head; head = nextLane(connection, head.lane)) {
    if (claim.takes(head.lane)) heads.push(head);
  }
  const claims: StoredClaim[] = [];
  const damagedIds: string[] = [];
  while (claims.length < claim.limit) {
    const best = heads.pop();
    if (!best) break;
    const leased = leaseTask(connection, best.seq, claim, nowMs);
    if (typeof leased === "string") damagedIds.push(leased);
    else claims.push(leased);
    if (claims.length < claim.limit) offerHead(connection, best.lane, heads);
  }
  return { claims, damagedIds };
}

/** All lanes that have a ready task, by name: one seek for each. */
export function readyLanes(connection: Connection): string[] {
  const lanes: string[] = [];
  for (let head = nextLane(connection, ""); head; head = nextLane(connection, head.lane))
    lanes.push(head.lane);
  return lanes;
}

function nextLane(connection: Connection, after: string): Head | undefined {
  const row = connection.get(NEXT_LANE, { after });
  return row && parsed(laneRow, row);
}

function offerHead(connection: Connection, lane: string, heads: Heap<Head>): void {
  const row = connection.get(HEAD_OF_LANE, { lane });
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
  const { id, token, events } = parsed(
    leasedRow,
    connection.get(LEASE, { seq, workerId, holder, leaseUntilMs, nowMs }),
  );
  addEvent(connection, seq, events, { atMs: nowMs, kind: "claimed", workerId, token });
  try {
    const task: Task = taskBySeq(connection, seq);
    return { task, token };
  } catch (error) {
    if (!(error instanceof StoreCorruptError)) throw error;
    const mover = { seq, events, phase: PHASE.leased, token, worker_id: workerId };
    applyEffect(connection, mover, damageEffect(error.message), nowMs);
    return id;
  }
}
