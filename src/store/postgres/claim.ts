/**
 * Hands out the best ready tasks, to many claims in one statement.
 *
 * First the heads of the lanes are found without a lock, then as many of them as are wanted are locked, best first,
 * passing over those that another node is taking at this moment. To lock while looking was rejected: with several lanes
 * it locks tasks that are not taken after all, and others would see none where there are some.
 */
import * as z from "zod";
import { StoreCorruptError } from "../../errors.ts";
import type { LaneChoice, StoreClaim, StoredClaim } from "../../task/store.ts";
import { MAX_HISTORY, type TaskEvent } from "../../task/task.ts";
import { CHECKED_COLUMNS, checkTask } from "../checksum.ts";
import { damageEffect } from "../effect.ts";
import { PHASE } from "../phase.ts";
import { bodiesOf, FACT_COLUMNS, parsed, type Row, submittedAt, taskFacts } from "../rows.ts";
import { MAX_SCANNED_LANES } from "../stores.ts";
import { taskOf } from "../task-view.ts";
import type { Answer, Pending } from "./batches.ts";
import type { Database } from "./database.ts";
import { type LaneRound, lanesBetween } from "./lanes.ts";
import { historyColumn, logsColumn, recordOf } from "./read.ts";
import { Changes } from "./transition.ts";

/** How many heads are looked at beyond those wanted, because others may be taking the first ones. */
const SPARE_HEADS = 16;
/** With more lanes than this, few are spared: each lane is looked at for itself. */
const FEW_LANES = 8;
const MANY_LANES_SPARE = 2;
/** How often a claim looks once more when others took all that it saw, and how many times more it spares then. */
const MAX_LOOKS = 3;
const MORE_HEADS = 8;

/** What the tasks that go out together may have in all, as payload, progress and log lines. */
const MAX_BATCH_BYTES = 64 * 1024 * 1024;

const CLAIM = `
  WITH scanned AS MATERIALIZED (
    SELECT l.lane, r.n
      FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS r (low, high, n)
     CROSS JOIN LATERAL (${lanesBetween("r.low", "r.high", "$4")}) l LIMIT $4
  ), lanes AS (
    SELECT unnest($1::text[]) COLLATE "C" AS lane UNION SELECT lane FROM scanned
  ), heads AS MATERIALIZED (
    SELECT h.seq, h.priority FROM lanes
     CROSS JOIN LATERAL (
       SELECT seq, priority FROM tasks WHERE phase = 0 AND tasks.lane = lanes.lane
        ORDER BY priority DESC, seq LIMIT $5) h
     ORDER BY h.priority DESC, h.seq LIMIT $5
  ), due AS MATERIALIZED (
    SELECT coalesce((SELECT min(due_ms) FROM tasks WHERE due_ms IS NOT NULL) <= $6, false) AS now
  ), locked AS MATERIALIZED (
    SELECT t.seq, h.priority FROM heads h JOIN tasks t ON t.seq = h.seq
     WHERE t.phase = 0 AND ($7 OR NOT (SELECT now FROM due))
     ORDER BY h.priority DESC, h.seq LIMIT $8 FOR UPDATE OF t SKIP LOCKED
  ), sized AS (
    SELECT seq, row_number() OVER best AS slot, sum(bytes) OVER best AS upto
      FROM (SELECT k.seq, k.priority,
                   coalesce(octet_length(p.payload), 0) + coalesce(octet_length(o.progress), 0)
                   + coalesce((SELECT sum(octet_length(g.message)) FROM logs g WHERE g.seq = k.seq), 0) AS bytes
              FROM locked k LEFT JOIN payloads p ON p.seq = k.seq LEFT JOIN outcomes o ON o.seq = k.seq) s
    WINDOW best AS (ORDER BY priority DESC, seq)
  ), leased AS (
    UPDATE tasks t SET phase = ${PHASE.leased}, attempt = t.attempt + 1, token = t.token + 1, events = t.events + 1,
                       due_ms = c.until_ms, lease_ms = c.until_ms - c.now_ms, updated_ms = c.now_ms,
                       worker_id = c.worker_id, holder = c.holder
      FROM sized s
      JOIN unnest($9::text[], $10::text[], $11::double precision[], $12::double precision[])
           WITH ORDINALITY AS c (worker_id, holder, until_ms, now_ms, slot) ON c.slot = s.slot
     WHERE t.seq = s.seq AND (s.slot = 1 OR s.upto <= $13)
    RETURNING t.*, s.slot
  ), recorded AS (
    INSERT INTO history (seq, n, at_ms, kind, worker_id, token)
    SELECT seq, events, updated_ms, 'claimed', worker_id, token FROM leased
  ), forgotten AS (
    DELETE FROM history h USING leased l
     WHERE h.seq = l.seq AND l.events > ${MAX_HISTORY} AND h.n > 1 AND h.n <= l.events - ${MAX_HISTORY} + 1
  ), counted AS (
    INSERT INTO task_counts (phase, n)
    SELECT m.phase, m.sign * x.n FROM (SELECT count(*) AS n FROM leased) x,
           (VALUES (${PHASE.ready}, -1), (${PHASE.leased}, 1)) AS m (phase, sign) WHERE x.n > 0
  ), signed AS (
    INSERT INTO commits (id, seqs) SELECT $14, array_agg(seq ORDER BY slot) FROM leased HAVING count(*) > 0
  )
  SELECT due.now AS due, (SELECT count(*) FROM heads) AS seen, (SELECT count(*) FROM locked) AS got,
         (SELECT count(*) FROM lanes) AS lanes, (SELECT count(*) FROM scanned) AS scanned,
         (SELECT lane FROM scanned ORDER BY n DESC, lane DESC LIMIT 1) AS last_lane,
         t.slot, ${FACT_COLUMNS}, ${CHECKED_COLUMNS}, ${logsColumn("t.events > 2")}, ${historyColumn("t.events > 2")}
    FROM due LEFT JOIN leased t ON true
    LEFT JOIN payloads p ON p.seq = t.seq LEFT JOIN outcomes o ON o.seq = t.seq
   ORDER BY t.slot`;

/** What a claim gave whose answer was lost: the tasks that its signature names, as far as they are still leased. */
const CLAIMED = `
  SELECT false AS due, 0 AS seen, 0 AS got, 0 AS lanes, 0 AS scanned, NULL AS last_lane,
         g.slot, ${FACT_COLUMNS}, ${CHECKED_COLUMNS}, ${logsColumn("true")}, ${historyColumn("true")}
    FROM commits c CROSS JOIN LATERAL unnest(c.seqs) WITH ORDINALITY AS g (seq, slot)
    JOIN tasks t ON t.seq = g.seq AND t.phase = ${PHASE.leased}
    LEFT JOIN payloads p ON p.seq = t.seq LEFT JOIN outcomes o ON o.seq = t.seq
   WHERE c.id = $1 ORDER BY g.slot`;

/** A claim that somebody waits for. */
export interface ClaimCall extends Pending {
  readonly claim: StoreClaim;
  readonly nowMs: number;
  /** How often it was looked for a task in vain, because others were faster. */
  readonly looks: number;
  resolve(claims: readonly StoredClaim[]): void;
}

/** Whether two claims can go in one statement: those of one task each, out of the same lanes. */
export function goTogether(a: ClaimCall, b: ClaimCall): boolean {
  if (a === b) return true;
  return a.claim.limit === 1 && b.claim.limit === 1 && sameChoice(a.claim.choice, b.claim.choice);
}

function sameChoice(a: LaneChoice, b: LaneChoice): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** What the claims gave, and what they found. */
export interface Claimed {
  readonly answers: readonly Answer[];
  /** Something is due that must be settled first; nothing was leased. */
  readonly due: boolean;
  readonly leased: number;
  /** Tasks that were found damaged, and were dead-lettered so that they do not stand in the way of the others. */
  readonly damagedIds: readonly string[];
}

const factsRow = z.object({
  due: z.boolean(),
  seen: z.int(),
  got: z.int(),
  lanes: z.int(),
  scanned: z.int(),
  last_lane: z.string().nullable(),
});

/**
 * Leases tasks for claims that go together.
 *
 * @param settled - what is due was settled already, as far as one call does: go on all the same
 * @param again - asks once more for a claim that got nothing although there may be something
 */
export async function claimTasks(
  database: Database,
  round: LaneRound,
  calls: readonly ClaimCall[],
  settled: boolean,
  again: (call: ClaimCall) => void,
): Promise<Claimed> {
  const [first] = calls;
  if (!first) return { answers: [], due: false, leased: 0, damagedIds: [] };
  const slots = calls.length > 1 ? calls : Array.from({ length: first.claim.limit }, () => first);
  const nowMs = Math.max(...calls.map((call) => call.nowMs));
  const maxBytes = calls.length > 1 ? MAX_BATCH_BYTES : first.claim.maxBytes;
  const ranges = round.parts(first.claim.choice.ranges);
  const lanes = first.claim.choice.lanes.length + (ranges.length > 0 ? FEW_LANES + 1 : 0);
  const spare = lanes > FEW_LANES ? MANY_LANES_SPARE : SPARE_HEADS;
  const heads = slots.length + spare * MORE_HEADS ** Math.max(...calls.map(({ looks }) => looks));
  const values = [
    first.claim.choice.lanes,
    ranges.map(({ from }) => from),
    ranges.map(({ before }) => before ?? null),
    MAX_SCANNED_LANES,
    heads,
    nowMs,
    settled,
    slots.length,
    slots.map(({ claim }) => claim.workerId),
    slots.map(({ claim }) => claim.holder),
    slots.map(({ claim }) => claim.leaseUntilMs),
    slots.map((call) => call.nowMs),
    maxBytes,
  ];
  const rows = await database.commitOne(
    (id) => ({ text: CLAIM, values: [...values, id] }),
    (id) => database.query(CLAIMED, [id]),
  );
  const leased = rows.filter((row) => row["slot"] !== null);
  const facts = rows[0] ? parsed(factsRow, rows[0]) : undefined;
  if (facts && facts.scanned >= MAX_SCANNED_LANES && facts.last_lane !== null)
    round.stoppedAt(facts.last_lane);
  const due = facts?.due === true && !settled;
  // All heads were looked at, and others were faster; or what was locked was too much to go out at once.
  const more = !due && facts !== undefined && (facts.seen >= heads || facts.got > leased.length);
  return { ...(await handOver(database, slots, leased, more ? again : undefined)), due };
}

async function handOver(
  database: Database,
  slots: readonly ClaimCall[],
  rows: readonly Row[],
  again: ((call: ClaimCall) => void) | undefined,
): Promise<Omit<Claimed, "due">> {
  const given = new Map<ClaimCall, StoredClaim[]>(slots.map((call) => [call, []]));
  const damaged: Row[] = [];
  for (const row of rows) {
    const call = slots[Number(row["slot"]) - 1];
    const claim = call && leasedTask(row);
    if (claim) given.get(call)?.push(claim);
    else damaged.push(row);
  }
  const damagedIds = damaged.length === 0 ? [] : await giveUp(database, damaged);
  const answers = [...given].map(([call, claims]): Answer => {
    if (claims.length > 0 || again === undefined || call.looks >= MAX_LOOKS)
      return () => call.resolve(claims);
    return () => again({ ...call, looks: call.looks + 1 });
  });
  return { answers, leased: rows.length, damagedIds };
}

/** @returns undefined if what was submitted is damaged */
function leasedTask(row: Row): StoredClaim | undefined {
  try {
    checkTask(row);
    const facts = taskFacts(row);
    const [logs, kept] = recordOf(row, facts.createdAtMs);
    return { task: taskOf(facts, bodiesOf(row, logs, historyNow(kept, facts))), token: facts.token };
  } catch (error) {
    if (!(error instanceof StoreCorruptError)) throw error;
    return undefined;
  }
}

/** The statement sees the history as it was before the claim. */
function historyNow(kept: readonly TaskEvent[], facts: ReturnType<typeof taskFacts>): readonly TaskEvent[] {
  const last = kept.at(-1);
  if (last?.kind === "claimed" && last.token === facts.token) return kept;
  const { updatedAtMs: atMs, workerId, token, createdAtMs } = facts;
  const later = kept.slice(1).slice(2 - MAX_HISTORY);
  const claimed = { atMs, kind: "claimed", ...(workerId !== undefined && { workerId }), token } as const;
  return [submittedAt(createdAtMs), ...later, claimed];
}

async function giveUp(database: Database, rows: readonly Row[]): Promise<readonly string[]> {
  return database.transact(async () => {
    const changes = new Changes();
    for (const row of rows) {
      const { seq, events, token, workerId = null } = taskFacts({ ...row, error: null });
      const message = `the task ${String(row["id"])} is damaged in the database: what was submitted is not what was written`;
      const mover = { seq, events, phase: PHASE.leased, token, worker_id: workerId };
      changes.apply(mover, damageEffect(message), Number(row["updated_ms"]));
    }
    return { writes: changes.statements(), value: rows.map((row) => String(row["id"])) };
  });
}
