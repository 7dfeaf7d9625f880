/**
 * Looks for damage in a PostgreSQL database, without changing it and beside nodes that work with it: checksums, the rules
 * of the queue, and the sums. Whether the server's own files are sound is `pg_amcheck`'s to say.
 */
import type { Client } from "pg";
import * as z from "zod";
import { McpError, StoreFailedError } from "../../errors.ts";
import { CHECKED_COLUMNS, isDamagedEntry } from "../checksum.ts";
import { MAX_FINDINGS, NOTHING, RESTORE, RESUBMIT, type StoreFinding, type StoreReport } from "../report.ts";
import { FACT_COLUMNS, jsonOf, parsed, type Row } from "../rows.ts";
import { damageOfTask } from "../task-rules.ts";
import { type Address, parseAddress } from "./address.ts";
import { NODE, nodeRow } from "./cache-writes.ts";
import { loadDriver } from "./driver.ts";
import { storeError } from "./failure.ts";
import { schemaVersion } from "./migrations.ts";
import { onlyRow } from "./database.ts";
import { historyColumn, logsColumn, rowsIn } from "./read.ts";

/** So many tasks are held in memory at a time. */
const PAGE = 500;

// One look at one instant; a check of a large queue takes longer than statements of the queue may.
const BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0";

const NEXT = `
  SELECT ${FACT_COLUMNS}, ${CHECKED_COLUMNS}, t.settled_token, t.holder, ${logsColumn("true")}, ${historyColumn("true")}
    FROM tasks t LEFT JOIN payloads p ON p.seq = t.seq LEFT JOIN outcomes o ON o.seq = t.seq
   WHERE t.seq > $1 ORDER BY t.seq LIMIT ${PAGE}`;
const WRONG_COUNTS = `
  SELECT phase, coalesce(c.n, 0) AS n, coalesce(t.n, 0) AS really
    FROM (SELECT phase, sum(n)::bigint AS n FROM task_counts GROUP BY phase) c
    FULL JOIN (SELECT phase, count(*) AS n FROM tasks GROUP BY phase) t USING (phase)
   WHERE coalesce(c.n, 0) <> coalesce(t.n, 0) ORDER BY phase`;
const NUMBERS =
  "SELECT last_value AS given, (SELECT coalesce(max(seq), 0) FROM tasks) AS most FROM task_numbers";
const OUTBOX = "SELECT queue, task_id, token, outcome, crc FROM outbox ORDER BY n";
const CACHE =
  "SELECT change, key, live, value FROM cache_entries WHERE change > $1 ORDER BY change LIMIT 500";
const CACHE_SUMS = `
  SELECT count(*) FILTER (WHERE live = 1) AS entries, coalesce(sum(bytes) FILTER (WHERE live = 1), 0)::bigint AS bytes,
         count(*) FILTER (WHERE live = 0) AS tombstones FROM cache_entries`;
const SIZE = `
  SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS bytes
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'`;

const sumsRow = z.object({ entries: z.int(), bytes: z.int(), tombstones: z.int() });
const numbersRow = z.object({ given: z.int(), most: z.int() });
const orphanRow = z.object({ n: z.int(), first: z.int().nullable() });

/**
 * Looks at everything in the database of `url`, in one read-only transaction.
 *
 * @throws StoreFailedError if there is nothing of ours, StoreVersionError, InvalidInputError, and the errors of connecting
 */
export async function checkPostgresStore(url: string): Promise<StoreReport> {
  const address = parseAddress(url);
  const client = (await loadDriver({ ...address, statementTimeoutMs: 0 })).client();
  client.on("error", () => undefined);
  try {
    await client.connect();
    await requireSchema(client, address);
    await client.query(BEGIN);
    return await look(client, address);
  } catch (error) {
    throw storeError(error, address.shown);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function requireSchema(client: Client, address: Address): Promise<void> {
  if ((await schemaVersion(client, address)) > 0) return;
  throw new StoreFailedError(
    `there are no tables of mcplusplus in the schema ${address.schema} at ${address.shown}`,
    {
      hint: "see the schema in --store; the first node that starts makes the tables",
    },
  );
}

async function look(client: Client, { shown, schema }: Address): Promise<StoreReport> {
  const findings: StoreFinding[] = [];
  const counts = { tasks: 0, outbox: 0, cache: 0 };
  const looks = [
    () => taskFindings(client, counts),
    () => bodyFindings(client),
    () => sumFindings(client),
    () => outboxFindings(client, counts),
    () => cacheFindings(client, counts),
  ];
  for (const one of looks) {
    findings.push(...(await attempt(one, shown)));
  }
  const [size] = await rows(client, SIZE, [schema]);
  const notes = ["the server's own files are looked at by pg_amcheck"];
  const bytes = Number(size?.["bytes"] ?? 0);
  return { path: shown, bytes, ...counts, findings: findings.slice(0, MAX_FINDINGS), notes };
}

/** What `find` finds; that it cannot look any further is a finding too. */
async function attempt(find: () => AsyncGenerator<StoreFinding>, shown: string): Promise<StoreFinding[]> {
  const found: StoreFinding[] = [];
  try {
    for await (const finding of find()) if (found.push(finding) >= MAX_FINDINGS) break;
  } catch (error) {
    const ours = storeError(error, shown);
    if (!(ours instanceof McpError)) throw error;
    found.push({ what: ours.message, todo: RESTORE });
  }
  return found;
}

async function rows(client: Client, text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
  return (await client.query<Record<string, unknown>>(text, [...values])).rows;
}

interface Counts {
  tasks: number;
  outbox: number;
  cache: number;
}

async function* taskFindings(client: Client, counts: Counts): AsyncGenerator<StoreFinding> {
  for (let after = 0; ;) {
    const page = await rows(client, NEXT, [after]);
    for (const row of page) {
      after = Number(row["seq"]);
      const taskId = String(row["id"]);
      for (const what of damageOfTask(row, rowsIn(row["event_rows"]), rowsIn(row["log_rows"])))
        yield { what: `task ${taskId}: ${what}`, taskId, todo: RESUBMIT };
    }
    counts.tasks += page.length;
    if (page.length < PAGE) return;
  }
}

/** A body without its task was a task once. */
async function* bodyFindings(client: Client): AsyncGenerator<StoreFinding> {
  for (const table of ["payloads", "outcomes", "history", "logs"]) {
    const text = `
      SELECT count(*) AS n, min(b.seq) AS first FROM ${table} b
       WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.seq = b.seq)`;
    const { n, first } = parsed(orphanRow, onlyRow(await rows(client, text)));
    if (n > 0)
      yield { what: `${n} rows of ${table} have no task, the first of number ${first}`, todo: RESTORE };
  }
  const { given, most } = parsed(numbersRow, onlyRow(await rows(client, NUMBERS)));
  if (most > given)
    yield { what: `there is a task number ${most}, but none above ${given} was given`, todo: RESTORE };
}

async function* sumFindings(client: Client): AsyncGenerator<StoreFinding> {
  for (const { phase, n, really } of await rows(client, WRONG_COUNTS)) {
    const what = `the count of tasks in phase ${String(phase)} is ${String(n)}, there are ${String(really)}`;
    yield { what, todo: RESTORE };
  }
  const kept = parsed(nodeRow, onlyRow(await rows(client, NODE)));
  const { entries, bytes, tombstones } = parsed(sumsRow, onlyRow(await rows(client, CACHE_SUMS)));
  if (kept.entries !== entries || kept.bytes !== bytes || kept.tombstones !== tombstones)
    yield { what: `the size of the cache is not the kept one, ${kept.entries} entries`, todo: RESTORE };
}

async function* outboxFindings(client: Client, counts: Counts): AsyncGenerator<StoreFinding> {
  const entries = await rows(client, OUTBOX);
  counts.outbox = entries.length;
  for (const entry of entries) {
    if (!isDamagedEntry(entry)) continue;
    const taskId = String(entry["task_id"]);
    yield {
      what: `a result for task ${taskId} that waits for its delivery has changed`,
      taskId,
      todo: NOTHING,
    };
  }
}

async function* cacheFindings(client: Client, counts: Counts): AsyncGenerator<StoreFinding> {
  for (let after = Number.MIN_SAFE_INTEGER; ;) {
    const page = await rows(client, CACHE, [after]);
    for (const { change, key, live, value } of page) {
      after = Number(change);
      if (live === 1 ? isJson(value) : value === null) continue;
      yield { what: `the cache's entry '${String(key)}' has no value`, todo: "delete it" };
    }
    counts.cache += page.length;
    if (page.length === 0) return;
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
