/** Moves a task from one phase to the next and writes that into its history. Only inside a transaction. */
import { MAX_HISTORY, type TaskEvent } from "../../task/task.ts";
import type { Effect } from "../effect.ts";
import { PHASE, type Phase } from "../phase.ts";
import { textChecksum } from "../checksum.ts";
import type { Connection } from "./connection.ts";

const MOVE = `
  UPDATE tasks SET phase = ?2, due_ms = ?3, ready_ms = ?4, updated_ms = ?4, attempt = attempt - ?5,
                   settled_token = ?6, events = events + 1, holder = CASE WHEN ?7 THEN NULL ELSE holder END
   WHERE seq = ?1`;

const SET_OUTCOME = `
  INSERT INTO outcomes (seq, error, result, crc) VALUES (?1, ?2, ?3, ?4)
  ON CONFLICT (seq) DO UPDATE SET error = excluded.error, result = excluded.result, crc = excluded.crc`;

const ADD_EVENT = `
  INSERT INTO history (seq, n, at_ms, kind, worker_id, token, detail)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`;

// Not the first one, which files from before it was left out of them have.
const FORGET_EVENTS = "DELETE FROM history WHERE seq = ?1 AND n > 1 AND n <= ?2";

/** The task that moves, as it was before. */
export interface Mover {
  readonly seq: number;
  readonly events: number;
  readonly phase: Phase;
  readonly token: number;
  readonly worker_id: string | null;
}

/** Gives a task's row the phase of `effect`, stores what it brings, and adds its event. */
export function applyEffect(
  connection: Connection,
  mover: Mover,
  effect: Effect,
  nowMs: number,
  settledToken: number | null = null,
): void {
  const { seq } = mover;
  const refund = effect.attemptCounts ? 0 : 1;
  const endsLease = effect.endsLease === true ? 1 : 0;
  connection.run(MOVE, [seq, effect.phase, effect.dueMs ?? null, nowMs, refund, settledToken, endsLease]);
  connection.counts.moved(mover.phase, effect.phase);
  if (effect.outcome) {
    const [error, result] = [jsonOrNull(effect.outcome.error), jsonOrNull(effect.outcome.result)];
    connection.run(SET_OUTCOME, [seq, error, result, textChecksum(seq, error, result)]);
  }
  // A result may come under a lease that has run out.
  const leased = mover.phase === PHASE.leased || settledToken !== null;
  addEvent(connection, seq, mover.events + 1, {
    atMs: nowMs,
    kind: effect.event,
    workerId: leased ? (mover.worker_id ?? undefined) : undefined,
    token: leased ? mover.token : undefined,
    detail: effect.detail,
  });
}

/** Writes event number `n` of a task and forgets what is too old, but never the first. */
export function addEvent(connection: Connection, seq: number, n: number, event: TaskEvent): void {
  const { atMs, kind, workerId = null, token = null, detail = null } = event;
  connection.run(ADD_EVENT, [seq, n, atMs, kind, workerId, token, detail]);
  if (n > MAX_HISTORY) connection.run(FORGET_EVENTS, [seq, n - MAX_HISTORY + 1]);
}

function jsonOrNull(value: object | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value);
}
