/** Looks for damage in a database, without changing it and beside a node that works with it. */
import { statSync } from "node:fs";
import * as z from "zod";
import { McpError } from "../../errors.ts";
import { damagedTasks } from "./check-tasks.ts";
import { Connection } from "./connection.ts";
import { loadSqlite } from "./load.ts";
import { migrate, schemaVersion } from "./migrations.ts";
import { openForReading } from "./open.ts";
import { isDamagedEntry } from "../checksum.ts";
import { jsonOf } from "../rows.ts";
import { MAX_FINDINGS, NOTHING, RESTORE, RESUBMIT, type StoreFinding, type StoreReport } from "../report.ts";
import { inspectWal } from "./wal.ts";

/** What `PRAGMA integrity_check` may say of the file before it stops. */
const MAX_STRUCTURAL = 20;

/**
 * Looks at everything in the file of the database at `path`, in one read transaction: structure and indexes, schema,
 * checksums, and the rules of the queue.
 *
 * @throws StoreFailedError if there is no such file
 * @throws StoreCorruptError if it is so damaged, or so foreign, that it cannot be opened
 * @throws StoreVersionError, StoreLockedError, StoreReadOnlyError
 */
export function checkSqliteStore(path: string): StoreReport {
  const log = inspectWal(path);
  if (log === "damaged") return lostLog(path);
  const connection = openForReading(path);
  try {
    connection.exec("BEGIN");
    const findings = attempt(() => structureFindings(connection));
    const counts = { tasks: 0, outbox: 0, cache: 0 };
    findings.push(...attempt(() => schemaFindings(connection)));
    findings.push(...attempt(() => taskFindings(connection, counts)));
    findings.push(...attempt(() => bodyFindings(connection)));
    findings.push(...attempt(() => countFindings(connection)));
    findings.push(...attempt(() => outboxFindings(connection, counts)));
    findings.push(...attempt(() => cacheFindings(connection, counts)));
    const notes = log === "torn" ? ["the last transaction was not finished; it was never acknowledged"] : [];
    const bytes = sizeOf(path) + sizeOf(`${path}-wal`);
    return { path, bytes, ...counts, findings: findings.slice(0, MAX_FINDINGS), notes };
  } finally {
    connection.close();
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** What `look` finds; that it cannot look any further is a finding too. */
function attempt(look: () => Generator<StoreFinding>): StoreFinding[] {
  const found: StoreFinding[] = [];
  try {
    for (const finding of look()) {
      found.push(finding);
      if (found.length >= MAX_FINDINGS) break;
    }
  } catch (error) {
    if (!(error instanceof McpError)) throw error;
    found.push({ what: error.message, todo: RESTORE });
  }
  return found;
}

/** What the file would show without the log's end is not what was acknowledged, so it is not looked at. */
function lostLog(path: string): StoreReport {
  const what = "the write-ahead log is damaged: what was written after the damage is out of reach";
  const findings = [{ what, todo: RESTORE }];
  return {
    path,
    bytes: sizeOf(path) + sizeOf(`${path}-wal`),
    tasks: 0,
    outbox: 0,
    cache: 0,
    findings,
    notes: [],
  };
}

const checkRow = z.object({ integrity_check: z.string() });

function* structureFindings(connection: Connection): Generator<StoreFinding> {
  for (const row of connection.all(`PRAGMA integrity_check(${MAX_STRUCTURAL})`)) {
    const what = checkRow.parse(row).integrity_check;
    if (what !== "ok") yield { what: `structure: ${what}`, todo: RESTORE };
  }
}

const SCHEMA = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name";

/** The schema must be, letter by letter, what the steps that the file took make of an empty one. */
function* schemaFindings(connection: Connection): Generator<StoreFinding> {
  const { DatabaseSync } = loadSqlite();
  const fresh = new Connection(new DatabaseSync(":memory:"), ":memory:");
  try {
    migrate(fresh, schemaVersion(connection));
    const [found, expected] = [connection.all(SCHEMA), fresh.all(SCHEMA)];
    if (JSON.stringify(found) !== JSON.stringify(expected)) {
      yield { what: "the schema is not the one that mcplusplus made", todo: RESTORE };
    }
  } finally {
    fresh.close();
  }
}

interface Counts {
  tasks: number;
  outbox: number;
  cache: number;
}

function* taskFindings(connection: Connection, counts: Counts): Generator<StoreFinding> {
  const tasks = damagedTasks(connection);
  for (;;) {
    const next = tasks.next();
    if (next.done) {
      counts.tasks = next.value;
      return;
    }
    const { taskId, what } = next.value;
    yield { what: `task ${taskId}: ${what}`, taskId, todo: RESUBMIT };
  }
}

const orphanRow = z.object({ n: z.int(), first: z.int().nullable() });

/** A body without its task was a task once. */
function* bodyFindings(connection: Connection): Generator<StoreFinding> {
  for (const table of ["payloads", "outcomes", "history", "logs"]) {
    const sql = `SELECT count(*) AS n, min(seq) AS first FROM ${table} WHERE seq NOT IN (SELECT seq FROM tasks NOT INDEXED)`;
    const { n, first } = orphanRow.parse(connection.get(sql));
    if (n > 0)
      yield { what: `${n} rows of ${table} have no task, the first of number ${first}`, todo: RESTORE };
  }
  const numbers = z
    .object({ given: z.int().nullable(), most: z.int().nullable() })
    .parse(
      connection.get(
        "SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'tasks') AS given, (SELECT max(seq) FROM tasks) AS most",
      ),
    );
  if ((numbers.most ?? 0) > (numbers.given ?? 0)) {
    yield {
      what: `there is a task number ${numbers.most}, but none above ${numbers.given} was given`,
      todo: RESTORE,
    };
  }
}

const WRONG_COUNTS = `
  SELECT c.phase, c.n, (SELECT count(*) FROM tasks t WHERE t.phase = c.phase) AS really FROM task_counts c WHERE n <> really`;
const WRONG_SUMS = `
  SELECT s.live, s.entries, s.bytes FROM cache_sums s
   WHERE entries <> (SELECT count(*) FROM cache_entries c WHERE c.live = s.live)
      OR bytes <> (SELECT coalesce(sum(bytes), 0) FROM cache_entries c WHERE c.live = s.live)`;

function* countFindings(connection: Connection): Generator<StoreFinding> {
  for (const { phase, n, really } of connection.all(WRONG_COUNTS)) {
    yield {
      what: `the count of tasks in phase ${String(phase)} is ${String(n)}, there are ${String(really)}`,
      todo: RESTORE,
    };
  }
  for (const { entries } of connection.all(WRONG_SUMS)) {
    yield { what: `the size of the cache is not the kept one, ${String(entries)} entries`, todo: RESTORE };
  }
}

function* outboxFindings(connection: Connection, counts: Counts): Generator<StoreFinding> {
  const rows = connection.all("SELECT * FROM outbox ORDER BY n");
  counts.outbox = rows.length;
  for (const row of rows) {
    if (!isDamagedEntry(row)) continue;
    const taskId = String(row["task_id"]);
    const what = `a result for task ${taskId} that waits for its delivery has changed`;
    yield { what, taskId, todo: NOTHING };
  }
}

const CACHE_TEXTS =
  "SELECT change, key, live, value FROM cache_entries WHERE change > :after ORDER BY change LIMIT 500";

function* cacheFindings(connection: Connection, counts: Counts): Generator<StoreFinding> {
  let after = Number.MIN_SAFE_INTEGER;
  for (;;) {
    const rows = connection.all(CACHE_TEXTS, { after });
    for (const { change, key, live, value } of rows) {
      after = Number(change);
      if (live === 1 ? isJson(value) : value === null) continue;
      yield { what: `the cache's entry '${String(key)}' has no value`, todo: "delete it" };
    }
    counts.cache += rows.length;
    if (rows.length === 0) return;
  }
}

function isJson(value: unknown): boolean {
  try {
    return typeof value === "string" && jsonOf(value) !== undefined;
  } catch (error) {
    if (error instanceof McpError) return false;
    throw error;
  }
}
