/** What a transaction changes in tasks, gathered first and then written with one statement a table. */
import { MAX_HISTORY, type TaskEvent } from "../../task/task.ts";
import { textChecksum } from "../checksum.ts";
import type { Effect } from "../effect.ts";
import { PHASE, type Phase } from "../phase.ts";
import type { Statement } from "./database.ts";

const MOVE = `
  UPDATE tasks t SET phase = m.phase, due_ms = m.due_ms, ready_ms = m.at_ms, updated_ms = m.at_ms,
                     attempt = t.attempt - m.refund, settled_token = m.settled_token, events = t.events + 1,
                     holder = CASE WHEN m.ends_lease THEN NULL ELSE t.holder END
    FROM unnest($1::bigint[], $2::smallint[], $3::double precision[], $4::double precision[], $5::integer[],
                $6::bigint[], $7::boolean[]) AS m (seq, phase, due_ms, at_ms, refund, settled_token, ends_lease)
   WHERE t.seq = m.seq`;

// It has waited since the instant that it was delayed to, not since somebody noticed.
const WAKE = `
  UPDATE tasks SET phase = ${PHASE.ready}, ready_ms = due_ms, due_ms = NULL WHERE seq = ANY($1::bigint[])`;

const SET_OUTCOME = `
  INSERT INTO outcomes (seq, error, result, crc)
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[])
  ON CONFLICT (seq) DO UPDATE SET error = excluded.error, result = excluded.result, crc = excluded.crc`;

const ADD_EVENT = `
  INSERT INTO history (seq, n, at_ms, kind, worker_id, token, detail)
  SELECT * FROM unnest($1::bigint[], $2::integer[], $3::double precision[], $4::text[], $5::text[], $6::bigint[], $7::text[])`;

const FORGET_EVENTS = `
  DELETE FROM history h USING unnest($1::bigint[], $2::integer[]) AS old (seq, n)
   WHERE h.seq = old.seq AND h.n > 1 AND h.n <= old.n`;

const ADD_COUNTS = "INSERT INTO task_counts (phase, n) SELECT * FROM unnest($1::smallint[], $2::bigint[])";

/** The task that moves, as it was before. */
export interface Mover {
  readonly seq: number;
  readonly events: number;
  readonly phase: Phase;
  readonly token: number;
  readonly worker_id: string | null;
}

/** The number up to which the events of a task are forgotten when it has `events` of them; the first is never kept. */
export function forgottenUpTo(events: number): number {
  return events > MAX_HISTORY ? events - MAX_HISTORY + 1 : 0;
}

/** Changes to tasks, each task at most once. */
export class Changes {
  readonly #moves: (readonly unknown[])[] = [];
  readonly #woken: number[] = [];
  readonly #outcomes: (readonly unknown[])[] = [];
  readonly #events: (readonly unknown[])[] = [];
  readonly #forgotten: (readonly unknown[])[] = [];
  readonly #counts = new Map<Phase, number>();

  /** Gives a task's row the phase of `effect`, stores what it brings, and adds its event. */
  apply(mover: Mover, effect: Effect, nowMs: number, settledToken: number | null = null): void {
    const { seq } = mover;
    const refund = effect.attemptCounts ? 0 : 1;
    this.#moves.push([
      seq,
      effect.phase,
      effect.dueMs ?? null,
      nowMs,
      refund,
      settledToken,
      effect.endsLease === true,
    ]);
    this.moved(mover.phase, effect.phase);
    if (effect.outcome) {
      const [error, result] = [jsonOrNull(effect.outcome.error), jsonOrNull(effect.outcome.result)];
      this.#outcomes.push([seq, error, result, textChecksum(seq, error, result)]);
    }
    // A result may come under a lease that has run out.
    const leased = mover.phase === PHASE.leased || settledToken !== null;
    this.#addEvent(seq, mover.events + 1, {
      atMs: nowMs,
      kind: effect.event,
      workerId: leased ? (mover.worker_id ?? undefined) : undefined,
      token: leased ? mover.token : undefined,
      detail: effect.detail,
    });
  }

  /** Makes a delayed task ready. */
  wake(seq: number): void {
    this.#woken.push(seq);
    this.moved(PHASE.delayed, PHASE.ready);
  }

  /** Counts that a task has come (`from` absent) or gone from one phase to another. */
  moved(from: Phase | undefined, to: Phase): void {
    if (from !== undefined) this.#counts.set(from, (this.#counts.get(from) ?? 0) - 1);
    this.#counts.set(to, (this.#counts.get(to) ?? 0) + 1);
  }

  /** What writes all of it. */
  statements(): readonly Statement[] {
    const counts = [...this.#counts].filter(([, n]) => n !== 0);
    const woken = this.#woken.length > 0 ? [{ text: WAKE, values: [this.#woken] }] : [];
    return [
      ...listed(MOVE, this.#moves),
      ...woken,
      ...listed(SET_OUTCOME, this.#outcomes),
      ...listed(ADD_EVENT, this.#events),
      ...listed(FORGET_EVENTS, this.#forgotten),
      ...listed(ADD_COUNTS, counts),
    ];
  }

  #addEvent(seq: number, n: number, event: TaskEvent): void {
    const { atMs, kind, workerId = null, token = null, detail = null } = event;
    this.#events.push([seq, n, atMs, kind, workerId, token, detail]);
    const old = forgottenUpTo(n);
    if (old > 0) this.#forgotten.push([seq, old]);
  }
}

/** A statement over lists, one for each column, from rows; none if there are no rows. */
export function listed(text: string, rows: readonly (readonly unknown[])[]): Statement[] {
  const [first] = rows;
  if (!first) return [];
  return [{ text, values: first.map((_, column) => rows.map((row) => row[column])) }];
}

function jsonOrNull(value: object | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value);
}
