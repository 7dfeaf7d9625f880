/** What must hold of every task in a database, whatever the engine. */
import { McpError } from "../errors.ts";
import { MAX_HISTORY, type TaskEvent } from "../task/task.ts";
import { damageOf } from "./checksum.ts";
import { PHASE, type Phase } from "./phase.ts";
import {
  bodiesOf,
  historyOf,
  leaseRow,
  type LeaseRow,
  logLineOf,
  parsed,
  type Row,
  taskFacts,
} from "./rows.ts";

/**
 * What is wrong with a task; empty if nothing is.
 *
 * @param row - with the columns of facts, checksums and lease
 * @param events - its rows of the table `history`, in order
 * @param logs - its rows of the table `logs`, in order
 */
export function damageOfTask(row: Row, events: readonly Row[], logs: readonly Row[]): readonly string[] {
  try {
    const damaged = damageOf(row);
    if (damaged)
      return [damaged === "task" ? "what was submitted has changed" : `its ${damaged} has changed`];
    const { createdAtMs } = taskFacts(row);
    const history = historyOf(createdAtMs, events);
    bodiesOf(row, logs.map(logLineOf), history);
    const lease = parsed(leaseRow, row);
    return [...phaseRules(lease, row), ...historyRules(lease, events, history)];
  } catch (error) {
    if (error instanceof McpError) return [error.message];
    throw error;
  }
}

function* phaseRules(lease: LeaseRow, row: Row): Generator<string> {
  const { phase, due_ms: dueMs, token, settled_token: settled, attempt, max_attempts: most } = lease;
  const timed = phase === PHASE.leased || phase === PHASE.delayed;
  if (timed !== (dueMs !== null))
    yield timed ? "it waits for an instant that is missing" : "it is due, but waits for nothing";
  if (phase === PHASE.leased && (lease.holder === null || lease.worker_id === null))
    yield "its lease has no holder";
  if (attempt < 0 || attempt > most) yield `it has had ${attempt} of ${most} attempts`;
  if (attempt > token) yield `it has had ${attempt} attempts with ${token} leases`;
  if (settled !== null && settled > token) yield "a lease that was never given has ended it";
  if (phase === PHASE.completed && row["result"] === null) yield "its result is missing";
  const failed = phase === PHASE.failed || phase === PHASE.dead || phase === PHASE.cancelled;
  if (failed && row["error"] === null) yield "the reason of its failure is missing";
}

/** The events after which a task may be in a phase. */
const LAST_EVENTS: Readonly<Record<Phase, readonly string[]>> = {
  [PHASE.ready]: ["submitted", "retried", "released", "expired"],
  [PHASE.delayed]: ["submitted", "retried"],
  [PHASE.leased]: ["claimed"],
  [PHASE.completed]: ["completed"],
  [PHASE.failed]: ["failed"],
  [PHASE.dead]: ["dead-lettered"],
  [PHASE.cancelled]: ["cancelled"],
};

function* historyRules(
  lease: LeaseRow,
  rows: readonly Row[],
  history: readonly TaskEvent[],
): Generator<string> {
  // Of the events after the first, which follows from the task, the last ones are kept.
  const kept = Math.min(lease.events, MAX_HISTORY) - 1;
  const numbers = rows.map(({ n }) => Number(n)).filter((n) => n !== 1);
  const expected = Array.from({ length: kept }, (_, i) => lease.events - kept + 1 + i);
  if (numbers.join() !== expected.join()) yield "events are missing from its history";
  const kind = history.at(-1)?.kind ?? "";
  if (!LAST_EVENTS[lease.phase].includes(kind))
    yield `its state is not what its last event, ${kind}, made it`;
  const claims = history.filter((event) => event.kind === "claimed");
  const token = claims.at(-1)?.token ?? 0;
  if (token !== lease.token)
    yield `its lease's token is ${lease.token}, not ${String(token)} as in its history`;
  const refunds = history.filter((event) => event.kind === "released").length;
  const whole = lease.events <= MAX_HISTORY;
  if (whole && lease.attempt !== claims.length - refunds) yield "its attempts are not those of its history";
}
