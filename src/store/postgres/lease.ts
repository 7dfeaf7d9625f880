/**
 * What is done under a lease, or to a task that may have one: the rules of sqlite/lease.ts, for many calls at once.
 *
 * The rows of all tasks concerned are locked in the order of their numbers, so that two nodes never wait for each other;
 * then each call is judged by itself, and what they change is written together with the commit.
 */
import * as z from "zod";
import type { JsonObject } from "../../content/json.ts";
import { LeaseLostError, TaskFinishedError, TaskNotFoundError } from "../../errors.ts";
import { mergedProgress } from "../../task/drafts.ts";
import type { TaskNote } from "../../task/queue.ts";
import type { HeldLease, Settlement } from "../../task/store.ts";
import { MAX_LOG_LINES } from "../../task/task.ts";
import { textChecksum } from "../checksum.ts";
import { cancellationEffect, isRepetition, settlementEffect } from "../effect.ts";
import { PHASE, stateOf } from "../phase.ts";
import { leaseRow, type LeaseRow, objectOf, parsed, type Row } from "../rows.ts";
import type { Answer, Pending } from "./batches.ts";
import type { Database, Statement, Transaction } from "./database.ts";
import { Changes, listed } from "./transition.ts";

const COLUMNS =
  "id, seq, phase, token, settled_token, due_ms, worker_id, holder, attempt, max_attempts, events";
const LOCK = `SELECT ${COLUMNS} FROM tasks WHERE id = ANY($1::text[]) ORDER BY seq FOR UPDATE`;
const BY_ID = `SELECT ${COLUMNS} FROM tasks WHERE id = $1`;
const BODIES = "SELECT seq, progress, result FROM outcomes WHERE seq = ANY($1::bigint[])";
const LAST_LOGS = "SELECT seq, max(n) AS n FROM logs WHERE seq = ANY($1::bigint[]) GROUP BY seq";

const RENEW = `
  UPDATE tasks t SET phase = ${PHASE.leased}, due_ms = r.until_ms, lease_ms = r.until_ms - r.at_ms, updated_ms = r.at_ms
    FROM unnest($1::bigint[], $2::double precision[], $3::double precision[]) AS r (seq, until_ms, at_ms)
   WHERE t.seq = r.seq`;
const TOUCH = `
  UPDATE tasks t SET updated_ms = n.at_ms FROM unnest($1::bigint[], $2::double precision[]) AS n (seq, at_ms)
   WHERE t.seq = n.seq`;
const SET_PROGRESS = `
  INSERT INTO outcomes (seq, progress, progress_crc) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[])
  ON CONFLICT (seq) DO UPDATE SET progress = excluded.progress, progress_crc = excluded.progress_crc`;
const ADD_LOGS = `
  INSERT INTO logs (seq, n, at_ms, stream, message)
  SELECT * FROM unnest($1::bigint[], $2::integer[], $3::double precision[], $4::text[], $5::text[])`;
const FORGET_LOGS = `
  DELETE FROM logs l USING unnest($1::bigint[], $2::integer[]) AS old (seq, n) WHERE l.seq = old.seq AND l.n <= old.n`;

/** What is asked of a task. */
export type LeaseAction =
  | { readonly do: "renew"; readonly lease: HeldLease; readonly leaseUntilMs: number }
  | { readonly do: "note"; readonly lease: HeldLease; readonly note: TaskNote }
  | { readonly do: "settle"; readonly lease: HeldLease; readonly settlement: Settlement }
  | { readonly do: "cancel"; readonly taskId: string; readonly reason: string };

/** An action that somebody waits for. */
export interface LeaseCall extends Pending {
  readonly key: string;
  readonly action: LeaseAction;
  readonly nowMs: number;
  resolve(): void;
}

/** The row that leases of a task are compared with; undefined if the task is unknown. */
export async function findLease(database: Database, taskId: string): Promise<LeaseRow | undefined> {
  const [row] = await database.query(BY_ID, [taskId]);
  return row && parsed(leaseRow, row);
}

/** Does what is asked, each of another task. */
export async function actUnderLeases(
  database: Database,
  calls: readonly LeaseCall[],
): Promise<readonly Answer[]> {
  return database.transact(async (tx) => {
    const [locked = []] = await tx.run({ text: LOCK, values: [calls.map(({ key }) => key)] });
    const rows = new Map(locked.map((row) => [String(row["id"]), parsed(leaseRow, row)]));
    const acts = new LeaseActs(await bodiesFor(tx, calls, rows));
    const value = calls.map((call): Answer => {
      try {
        acts.act(call, rows.get(call.key));
        return () => call.resolve();
      } catch (error) {
        return () => call.reject(error);
      }
    });
    return { writes: acts.statements(), value };
  });
}

/** What must be known of a task besides its row. */
interface Bodies {
  readonly progress: JsonObject | undefined;
  readonly result: JsonObject | undefined;
  readonly lastLog: number;
}

const bodyRow = z.object({ seq: z.int(), progress: z.string().nullable(), result: z.string().nullable() });
const logRow = z.object({ seq: z.int(), n: z.int() });

/** Another round trip, but only for notes and for what may be a repetition. */
async function bodiesFor(
  tx: Transaction,
  calls: readonly LeaseCall[],
  rows: ReadonlyMap<string, LeaseRow>,
): Promise<ReadonlyMap<number, Bodies>> {
  const seqs = calls.flatMap(({ key, action }) => {
    const row = rows.get(key);
    const asked =
      action.do === "note" || (action.do === "settle" && row?.settled_token === action.lease.token);
    return row && asked ? [row.seq] : [];
  });
  if (seqs.length === 0) return new Map();
  const [outcomes = [], logs = []] = await tx.run(
    { text: BODIES, values: [seqs] },
    { text: LAST_LOGS, values: [seqs] },
  );
  const lastLogs = new Map(logs.map((row) => [parsed(logRow, row).seq, parsed(logRow, row).n]));
  const texts = new Map(outcomes.map((row) => [Number(row["seq"]), bodiesOfRow(row)]));
  return new Map(
    seqs.map((seq) => {
      const { progress, result } = texts.get(seq) ?? { progress: undefined, result: undefined };
      return [seq, { progress, result, lastLog: lastLogs.get(seq) ?? 0 }];
    }),
  );
}

function bodiesOfRow(row: Row): Pick<Bodies, "progress" | "result"> {
  const { progress, result } = parsed(bodyRow, row);
  return { progress: objectOf(progress), result: objectOf(result) };
}

/** Judges actions and gathers what they change. */
class LeaseActs {
  readonly #bodies: ReadonlyMap<number, Bodies>;
  readonly #changes = new Changes();
  readonly #renewed: (readonly unknown[])[] = [];
  readonly #touched: (readonly unknown[])[] = [];
  readonly #progress: (readonly unknown[])[] = [];
  readonly #logs: (readonly unknown[])[] = [];
  readonly #forgotten: (readonly unknown[])[] = [];

  constructor(bodies: ReadonlyMap<number, Bodies>) {
    this.#bodies = bodies;
  }

  /** @throws LeaseLostError, TaskFinishedError, TaskNotFoundError, MessageTooLargeError; then nothing was changed */
  act({ action, nowMs }: LeaseCall, row: LeaseRow | undefined): void {
    switch (action.do) {
      case "renew":
        this.#renew(action.lease, action.leaseUntilMs, row, nowMs);
        break;
      case "note":
        this.#note(checkHeld(row, action.lease, nowMs).seq, action.note, nowMs);
        break;
      case "settle":
        this.#settle(action.lease, action.settlement, row, nowMs);
        break;
      case "cancel":
        this.#cancel(action.taskId, action.reason, row, nowMs);
        break;
    }
  }

  statements(): readonly Statement[] {
    return [
      ...listed(RENEW, this.#renewed),
      ...listed(TOUCH, this.#touched),
      ...listed(SET_PROGRESS, this.#progress),
      ...listed(ADD_LOGS, this.#logs),
      ...listed(FORGET_LOGS, this.#forgotten),
      ...this.#changes.statements(),
    ];
  }

  /** A lease that has run out is revived if nobody else was given the task. */
  #renew(lease: HeldLease, untilMs: number, row: LeaseRow | undefined, nowMs: number): void {
    const live = row?.phase === PHASE.leased || row?.phase === PHASE.ready;
    if (!row || !live || row.token !== lease.token || row.holder !== lease.holder) {
      throw new LeaseLostError(lease.taskId, lease.token);
    }
    this.#renewed.push([row.seq, untilMs, nowMs]);
    if (row.phase === PHASE.ready) this.#changes.moved(PHASE.ready, PHASE.leased);
  }

  #note(seq: number, { progress, logs }: TaskNote, nowMs: number): void {
    const before = this.#bodies.get(seq);
    if (progress) {
      const merged = mergedProgress(before?.progress, progress);
      this.#progress.push([seq, merged, textChecksum(seq, merged)]);
    }
    let n = before?.lastLog ?? 0;
    for (const { atMs, stream, message } of logs?.slice(-MAX_LOG_LINES) ?? []) {
      n += 1;
      this.#logs.push([seq, n, atMs, stream, message]);
    }
    if (n > MAX_LOG_LINES) this.#forgotten.push([seq, n - MAX_LOG_LINES]);
    this.#touched.push([seq, nowMs]);
  }

  #settle(lease: HeldLease, settlement: Settlement, row: LeaseRow | undefined, nowMs: number): void {
    const final = settlement.kind === "completed" || settlement.kind === "failed";
    if (final && row?.settled_token === lease.token && row.holder === lease.holder) {
      if (isRepetition(settlement, row.phase, this.#bodies.get(row.seq)?.result)) return;
      throw new TaskFinishedError(lease.taskId, stateOf(row.phase));
    }
    const held = checkHeld(row, lease, settlement.kind === "completed" ? undefined : nowMs);
    this.#changes.apply(held, settlementEffect(settlement, nowMs), nowMs, final ? lease.token : null);
  }

  #cancel(taskId: string, reason: string, row: LeaseRow | undefined, nowMs: number): void {
    if (!row) throw new TaskNotFoundError(taskId);
    if (row.phase >= PHASE.completed) throw new TaskFinishedError(taskId, stateOf(row.phase));
    this.#changes.apply(row, cancellationEffect(reason), nowMs);
  }
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
