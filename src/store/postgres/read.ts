/** Reads tasks, each answer with one statement. */
import * as z from "zod";
import type { QueueStats, TaskFilter, TaskPage } from "../../task/queue.ts";
import type { LaneChoice, StoredNews, Survey } from "../../task/store.ts";
import type { LogLine, Task, TaskEvent } from "../../task/task.ts";
import { CHECKED_COLUMNS, checkTask } from "../checksum.ts";
import { cursorAfter, seqOfCursor } from "../cursor.ts";
import { PHASE, type Phase, PHASES, phasesOf } from "../phase.ts";
import { queueStats } from "../queue-stats.ts";
import {
  bodiesOf,
  FACT_COLUMNS,
  historyOf,
  jsonOf,
  logLineOf,
  objectOf,
  parsed,
  type Row,
  taskFacts,
} from "../rows.ts";
import { MAX_SCANNED_LANES } from "../stores.ts";
import { summaryOf, taskOf } from "../task-view.ts";
import { type Database, onlyRow } from "./database.ts";
import { lanesBetween } from "./lanes.ts";
import { decodedText } from "./text.ts";

/** The log lines of a task `t` as JSON text in the column `log_rows`; NULL if `condition` does not hold or there are none. */
export function logsColumn(condition: string): string {
  return `CASE WHEN ${condition} THEN (SELECT json_agg(json_build_object(
    'at_ms', g.at_ms, 'stream', g.stream, 'message', g.message) ORDER BY g.n)::text
    FROM logs g WHERE g.seq = t.seq) END AS log_rows`;
}

/** The events of a task `t` as JSON text in the column `event_rows`, like {@link logsColumn}. */
export function historyColumn(condition: string): string {
  return `CASE WHEN ${condition} THEN (SELECT json_agg(json_build_object(
    'n', e.n, 'at_ms', e.at_ms, 'kind', e.kind, 'worker_id', e.worker_id, 'token', e.token, 'detail', e.detail)
    ORDER BY e.n)::text FROM history e WHERE e.seq = t.seq) END AS event_rows`;
}

const BY_ID = `
  SELECT ${FACT_COLUMNS}, ${CHECKED_COLUMNS}, ${logsColumn("true")}, ${historyColumn("t.events > 1")}
    FROM tasks t LEFT JOIN payloads p ON p.seq = t.seq LEFT JOIN outcomes o ON o.seq = t.seq WHERE t.id = $1`;

/** The task of an id; undefined if there is none. */
export async function taskById(database: Database, taskId: string): Promise<Task | undefined> {
  const [row] = await database.query(BY_ID, [taskId]);
  if (!row) return undefined;
  checkTask(row);
  const facts = taskFacts(row);
  return taskOf(facts, bodiesOf(row, ...recordOf(row, facts.createdAtMs)));
}

const NEWS = `
  SELECT ${FACT_COLUMNS}, o.progress, (SELECT coalesce(max(n), 0) FROM logs WHERE seq = t.seq) AS lines,
         (SELECT json_agg(json_build_object('at_ms', g.at_ms, 'stream', g.stream, 'message', g.message) ORDER BY g.n)::text
            FROM logs g WHERE g.seq = t.seq AND g.n > $2) AS log_rows
    FROM tasks t LEFT JOIN outcomes o ON o.seq = t.seq WHERE t.id = $1`;

const newsRow = z.object({ progress: z.string().nullable(), lines: z.int() });

/** What is shown of a task to somebody who has seen its first log lines. */
export async function newsOf(
  database: Database,
  taskId: string,
  afterLine: number,
): Promise<StoredNews | undefined> {
  // No line has a number beyond this; a larger one would not be an integer of the server.
  const after = Math.min(afterLine, 2 ** 31 - 1);
  const [row] = await database.query(NEWS, [taskId, after]);
  if (!row) return undefined;
  const { progress, lines } = parsed(newsRow, row);
  const logs = rowsIn(row["log_rows"]).map(logLineOf);
  return { task: summaryOf(taskFacts(row)), progress: objectOf(progress), logs, lines };
}

const listedRows = z.array(z.record(z.string(), z.unknown()));

/** The logs and the history of a task. @param row - with the columns of {@link logsColumn} and {@link historyColumn} */
export function recordOf(row: Row, createdAtMs: number): [readonly LogLine[], readonly TaskEvent[]] {
  return [rowsIn(row["log_rows"]).map(logLineOf), historyOf(createdAtMs, rowsIn(row["event_rows"]))];
}

/** The rows that a column of {@link logsColumn} or {@link historyColumn} holds. */
export function rowsIn(text: unknown): readonly Row[] {
  if (typeof text !== "string") return [];
  const rows = parsed(listedRows, jsonOf(text));
  if (!text.includes(String.raw`\u0001`)) return rows;
  return rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, decoded(value)])),
  );
}

function decoded(value: unknown): unknown {
  return typeof value === "string" ? decodedText(value) : value;
}

const SUMMARY = `SELECT ${FACT_COLUMNS} FROM tasks t LEFT JOIN outcomes o ON o.seq = t.seq`;
const LIST_ALL = `${SUMMARY} WHERE t.seq > $1 ORDER BY t.seq LIMIT $2`;
const LIST_IN_PHASES = `
  ${SUMMARY} WHERE t.seq IN (
    SELECT k.seq FROM unnest($3::smallint[]) AS f (phase)
     CROSS JOIN LATERAL (SELECT seq FROM tasks WHERE phase = f.phase AND seq > $1 ORDER BY seq LIMIT $2) k
     ORDER BY k.seq LIMIT $2)
   ORDER BY t.seq`;
const LIST_OF_TYPES = `
  ${SUMMARY} WHERE t.seq IN (
    SELECT k.seq FROM unnest($3::smallint[]) AS f (phase) CROSS JOIN unnest($4::text[]) AS y (type)
     CROSS JOIN LATERAL (
       SELECT seq FROM tasks WHERE type = y.type COLLATE "C" AND phase = f.phase AND seq > $1 ORDER BY seq LIMIT $2) k
     ORDER BY k.seq LIMIT $2)
   ORDER BY t.seq`;

/** One page of a list, oldest first. @throws InvalidInputError for a cursor that is none */
export async function listTasks(
  database: Database,
  filter: TaskFilter & { readonly limit: number },
): Promise<TaskPage> {
  const page = [seqOfCursor(filter.cursor), filter.limit + 1];
  const phases = phasesOf(filter);
  const types = [...new Set(filter.types)];
  let rows: readonly Row[];
  if (types.length > 0) rows = await database.query(LIST_OF_TYPES, [...page, phases, types]);
  else if (phases.length < PHASES.length) rows = await database.query(LIST_IN_PHASES, [...page, phases]);
  else rows = await database.query(LIST_ALL, page);
  const facts = rows.slice(0, filter.limit).map(taskFacts);
  const tasks = facts.map(summaryOf);
  const last = rows.length > filter.limit ? facts.at(-1) : undefined;
  return last === undefined ? { tasks } : { tasks, nextCursor: cursorAfter(last.seq) };
}

const STATS = `
  SELECT (SELECT json_object_agg(c.phase, c.n) FROM (SELECT phase, sum(n) AS n FROM task_counts GROUP BY phase) c) AS counts,
         (SELECT min(ready_ms) FROM tasks WHERE phase = 0) AS waiting_ms,
         (SELECT count(*) FROM tasks WHERE due_ms <= $1 AND phase = ${PHASE.delayed}) AS overdue,
         (SELECT min(due_ms) FROM tasks WHERE due_ms <= $1 AND phase = ${PHASE.delayed}) AS overdue_ms`;

const statsRow = z.object({
  counts: z.record(z.string(), z.number()).nullable(),
  waiting_ms: z.number().nullable(),
  overdue: z.int(),
  overdue_ms: z.number().nullable(),
});

/** How full the queue is. Its cost does not depend on how many tasks there are. */
export async function readStats(database: Database, nowMs: number): Promise<QueueStats> {
  const stats = parsed(statsRow, onlyRow(await database.query(STATS, [nowMs])));
  const count = (phase: Phase): number => stats.counts?.[phase] ?? 0;
  const oldest = Math.min(stats.waiting_ms ?? Infinity, stats.overdue_ms ?? Infinity);
  const oldestReadyMs = oldest === Infinity ? undefined : oldest;
  return queueStats({ count, overdue: stats.overdue, oldestReadyMs }, nowMs);
}

const SURVEY = `
  SELECT (SELECT coalesce(json_agg(a.id), '[]') FROM unnest($1::text[]) AS a (id) LEFT JOIN tasks t ON t.id = a.id
           WHERE t.id IS NULL OR t.phase >= ${PHASE.completed}) AS ended,
         (SELECT coalesce(json_agg(l.lane), '[]') FROM (${lanesBetween("''", "NULL::text", "$2")}) l) AS lanes,
         (SELECT min(due_ms) FROM tasks WHERE due_ms IS NOT NULL) AS due_ms`;

const surveyRow = z.object({
  ended: z.array(z.string()),
  lanes: z.array(z.string()),
  due_ms: z.number().nullable(),
});

/** What other nodes may have changed, as far as a queue must know of it. */
export async function surveyTasks(database: Database, taskIds: readonly string[]): Promise<Survey> {
  const rows = await database.query(SURVEY, [taskIds, MAX_SCANNED_LANES + 1]);
  const { ended, lanes, due_ms } = parsed(surveyRow, onlyRow(rows));
  return {
    endedTaskIds: ended.map(decodedText),
    readyLanes: lanes.length > MAX_SCANNED_LANES ? undefined : lanes.map(decodedText),
    nextDueMs: due_ms ?? undefined,
  };
}

const ANY_READY = `
  SELECT EXISTS (SELECT 1 FROM unnest($1::text[]) AS l (lane)
                  WHERE EXISTS (SELECT 1 FROM tasks WHERE phase = 0 AND tasks.lane = l.lane COLLATE "C"))
      OR EXISTS (SELECT 1 FROM unnest($2::text[], $3::text[]) AS r (low, high)
                  WHERE EXISTS (SELECT 1 FROM tasks WHERE phase = 0 AND lane >= r.low COLLATE "C"
                                   AND (r.high IS NULL OR lane < r.high COLLATE "C"))) AS ready`;

const readyRow = z.object({ ready: z.boolean() });

/** Whether a lane of `choice` has a ready task. */
export async function anyReady(database: Database, { lanes, ranges }: LaneChoice): Promise<boolean> {
  const [lows, highs] = [ranges.map(({ from }) => from), ranges.map(({ before }) => before ?? null)];
  return parsed(readyRow, onlyRow(await database.query(ANY_READY, [lanes, lows, highs]))).ready;
}
