/** Reads tasks. Nothing here waits for a write: what was acknowledged is in the file already. */
import * as z from "zod";
import type { QueueStats, TaskFilter, TaskPage } from "../../task/queue.ts";
import type { StoredNews } from "../../task/store.ts";
import type { LogLine, Task, TaskEvent } from "../../task/task.ts";
import { StoreCorruptError } from "../../errors.ts";
import { cursorAfter, seqOfCursor } from "../cursor.ts";
import { PHASE, type Phase, PHASES, phasesOf } from "../phase.ts";
import { queueStats } from "../queue-stats.ts";
import { summaryOf, taskOf } from "../task-view.ts";
import { CHECKED_COLUMNS, checkTask } from "../checksum.ts";
import type { Connection, Row } from "./connection.ts";
import { CORRUPT_HINT } from "./failure.ts";
import {
  bodiesOf,
  FACT_COLUMNS,
  historyOf,
  logLineOf,
  objectOf,
  parsed,
  submittedAt,
  taskFacts,
} from "../rows.ts";

const WHOLE_TASK = `
  SELECT ${FACT_COLUMNS}, ${CHECKED_COLUMNS}
    FROM tasks t LEFT JOIN payloads p ON p.seq = t.seq LEFT JOIN outcomes o ON o.seq = t.seq`;
const BY_ID = `${WHOLE_TASK} WHERE t.id = ?1`;
const BY_SEQ = `${WHOLE_TASK} WHERE t.seq = ?1`;
const LOGS = "SELECT at_ms, stream, message FROM logs WHERE seq = ?1 ORDER BY n";
const HISTORY = "SELECT n, at_ms, kind, worker_id, token, detail FROM history WHERE seq = ?1 ORDER BY n";

/** The task of an id; undefined if there is none. */
export function taskById(connection: Connection, taskId: string): Task | undefined {
  const row = connection.get(BY_ID, [taskId]);
  return row && wholeTask(connection, row);
}

const NEWS = `
  SELECT ${FACT_COLUMNS}, o.progress, (SELECT coalesce(max(n), 0) FROM logs WHERE seq = t.seq) AS lines
    FROM tasks t LEFT JOIN outcomes o ON o.seq = t.seq WHERE t.id = ?1`;
const LOGS_AFTER = "SELECT at_ms, stream, message FROM logs WHERE seq = ?1 AND n > ?2 ORDER BY n";

const newsRow = z.object({ progress: z.string().nullable(), lines: z.int() });

/** What is shown of a task to somebody who has seen its first log lines. */
export function newsOf(connection: Connection, taskId: string, afterLine: number): StoredNews | undefined {
  const row = connection.get(NEWS, [taskId]);
  if (!row) return undefined;
  const { progress, lines } = parsed(newsRow, row);
  const facts = taskFacts(row);
  const logs = lines > afterLine ? connection.all(LOGS_AFTER, [facts.seq, afterLine]).map(logLineOf) : [];
  return { task: summaryOf(facts), progress: objectOf(progress), logs, lines };
}

/** The row of a task's submission number that is known to exist, for {@link leasedTask}. */
export function wholeRow(connection: Connection, seq: number): Row {
  const row = connection.get(BY_SEQ, [seq]);
  if (!row) throw new StoreCorruptError(`the task number ${seq} is missing`, { hint: CORRUPT_HINT });
  return row;
}

/** What a lease makes of a task. */
interface NewLease {
  readonly workerId: string;
  readonly leaseUntilMs: number;
  readonly nowMs: number;
}

/**
 * A task as it is under a lease that was just given.
 *
 * @param row - as it was before, so that a claim reads its task once
 * @throws StoreCorruptError if what was submitted is damaged
 */
export function leasedTask(connection: Connection, row: Row, lease: NewLease): Task {
  checkTask(row);
  const before = taskFacts(row);
  const { seq, createdAtMs } = before;
  const facts = {
    ...before,
    phase: PHASE.leased,
    attempt: before.attempt + 1,
    workerId: lease.workerId,
    dueMs: lease.leaseUntilMs,
    updatedAtMs: lease.nowMs,
  };
  if (before.events > 1) return taskOf(facts, bodiesOf(row, ...recordOf(connection, seq, createdAtMs)));
  // Nobody had it before, so it has no logs, and a history that is known.
  const { workerId, nowMs: atMs } = lease;
  const claimed = { atMs, kind: "claimed", workerId, token: before.token + 1 } as const;
  return taskOf(facts, bodiesOf(row, [], [submittedAt(createdAtMs), claimed]));
}

function wholeTask(connection: Connection, row: Row): Task {
  checkTask(row);
  const facts = taskFacts(row);
  return taskOf(facts, bodiesOf(row, ...recordOf(connection, facts.seq, facts.createdAtMs)));
}

/** The logs and the history of a task. */
function recordOf(
  connection: Connection,
  seq: number,
  createdAtMs: number,
): [readonly LogLine[], readonly TaskEvent[]] {
  const logs = connection.all(LOGS, [seq]).map(logLineOf);
  return [logs, historyOf(createdAtMs, connection.all(HISTORY, [seq]))];
}

// Each finds a page of one kind of task at one end of an index. A page of several kinds is merged from theirs; one
// statement with IN and ORDER BY was rejected: SQLite sorts every match before the first row comes.
/** The next tasks of all. */
export const NEXT_OF_ALL = "SELECT seq FROM tasks WHERE seq > :after ORDER BY seq LIMIT :limit";
/** The next tasks in one phase. */
export const NEXT_IN_PHASE =
  "SELECT seq FROM tasks WHERE phase = :phase AND seq > :after ORDER BY seq LIMIT :limit";
/** The next tasks of one type in one phase. */
export const NEXT_OF_TYPE =
  "SELECT seq FROM tasks WHERE type = :type AND phase = :phase AND seq > :after ORDER BY seq LIMIT :limit";

const SUMMARIES = `
  SELECT ${FACT_COLUMNS} FROM json_each(:seqs) j
    JOIN tasks t ON t.seq = j.value LEFT JOIN outcomes o ON o.seq = t.seq
   ORDER BY t.seq`;

/** One page of a list, oldest first. @throws InvalidInputError for a cursor that is none */
export function listTasks(connection: Connection, filter: TaskFilter & { readonly limit: number }): TaskPage {
  const after = seqOfCursor(filter.cursor);
  const seqs = candidates(connection, filter, after).slice(0, filter.limit + 1);
  const last = seqs.length > filter.limit ? seqs[filter.limit - 1] : undefined;
  const rows = connection.all(SUMMARIES, { seqs: JSON.stringify(seqs.slice(0, filter.limit)) });
  const tasks = rows.map((row) => summaryOf(taskFacts(row)));
  return last === undefined ? { tasks } : { tasks, nextCursor: cursorAfter(last) };
}

const seqRow = z.object({ seq: z.int() });

/** More than enough matches for the page, in order. */
function candidates(
  connection: Connection,
  filter: TaskFilter & { readonly limit: number },
  after: number,
): number[] {
  const page = { after, limit: filter.limit + 1 };
  const phases = phasesOf(filter);
  const types = new Set(filter.types);
  let rows: Row[];
  if (types.size > 0) {
    const kinds = [...types].flatMap((type) => phases.map((phase) => ({ type, phase })));
    rows = kinds.flatMap((kind) => connection.all(NEXT_OF_TYPE, { ...page, ...kind }));
  } else if (phases.length < PHASES.length) {
    rows = phases.flatMap((phase) => connection.all(NEXT_IN_PHASE, { ...page, phase }));
  } else {
    rows = connection.all(NEXT_OF_ALL, page);
  }
  return rows.map((row) => parsed(seqRow, row).seq).toSorted((a, b) => a - b);
}

const COUNTS = "SELECT phase, n FROM task_counts";
/** Since when the longest waiting task is ready. */
export const OLDEST_READY =
  "SELECT min(ready_ms) AS since_ms FROM tasks INDEXED BY tasks_waiting WHERE phase = 0";
/** Delayed tasks whose time has come. */
export const OVERDUE =
  "SELECT count(*) AS n, min(due_ms) AS since_ms FROM tasks INDEXED BY tasks_due WHERE due_ms <= :nowMs AND phase = 1";

const countRow = z.object({ phase: z.int(), n: z.int() });
const sinceRow = z.object({ since_ms: z.number().nullable() });
const overdueRow = sinceRow.extend({ n: z.int() });

/** How full the queue is. Counts are kept (counts.ts), so its cost does not depend on how many tasks there are. */
export function readStats(connection: Connection, nowMs: number): QueueStats {
  const counts = new Map(
    connection
      .all(COUNTS)
      .map((row) => parsed(countRow, row))
      .map(({ phase, n }) => [phase, n]),
  );
  const waiting = parsed(sinceRow, connection.get(OLDEST_READY)).since_ms ?? Infinity;
  const overdue = parsed(overdueRow, connection.get(OVERDUE, { nowMs }));
  const oldest = Math.min(waiting, overdue.since_ms ?? Infinity);
  const count = (phase: Phase): number => counts.get(phase) ?? 0;
  const oldestReadyMs = oldest === Infinity ? undefined : oldest;
  return queueStats({ count, overdue: overdue.n, oldestReadyMs }, nowMs);
}
