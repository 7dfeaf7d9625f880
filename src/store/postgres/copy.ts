/**
 * Copies a SQLite database into an empty PostgreSQL one: all of it in one transaction, or nothing.
 *
 * Tasks keep their ids, numbers, tokens and leases, so workers that hold one can go on. The cache keeps its versions, but
 * the store has a new name among peers, who then read its log of changes from the beginning.
 */
import type { Client } from "pg";
import * as z from "zod";
import { InvalidInputError, StoreCorruptError } from "../../errors.ts";
import { DAMAGE_HINT, parsed, type Row } from "../rows.ts";
import type { Connection } from "../sqlite/connection.ts";
import { openForReading } from "../sqlite/open.ts";
import { openSqliteStores } from "../sqlite/index.ts";
import { parseAddress } from "./address.ts";
import { hashOf } from "./cache-writes.ts";
import { loadDriver } from "./driver.ts";
import { storeError } from "./failure.ts";
import { openPostgresStores } from "./index.ts";
import { encodedValue } from "./text.ts";
import { listed } from "./transition.ts";

/** How many tasks, entries or results go at a time: with the largest bodies still in memory. */
const BATCH = 100;

/** The columns of the tables that have the same in both engines, with their types in PostgreSQL. */
const TABLES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  tasks: {
    seq: "bigint",
    id: "text",
    type: "text",
    model_name: "text",
    lane: "text",
    priority: "integer",
    phase: "smallint",
    attempt: "integer",
    max_attempts: "integer",
    token: "bigint",
    settled_token: "bigint",
    due_ms: "float8",
    ready_ms: "float8",
    lease_ms: "float8",
    worker_id: "text",
    holder: "text",
    idempotency_key: "text",
    digest: "text",
    events: "integer",
    created_ms: "float8",
    updated_ms: "float8",
  },
  payloads: { seq: "bigint", payload: "text", crc: "bigint" },
  outcomes: {
    seq: "bigint",
    error: "text",
    progress: "text",
    result: "text",
    crc: "bigint",
    progress_crc: "bigint",
  },
  history: {
    seq: "bigint",
    n: "integer",
    at_ms: "float8",
    kind: "text",
    worker_id: "text",
    token: "bigint",
    detail: "text",
  },
  logs: { seq: "bigint", n: "integer", at_ms: "float8", stream: "text", message: "text" },
  cache_entries: {
    change: "bigint",
    key: "text",
    key_hash: "text",
    stamp: "bigint",
    origin: "text",
    live: "smallint",
    expires_ms: "float8",
    bytes: "bigint",
    value: "text",
  },
  outbox: {
    owner: "text",
    queue: "text",
    task_id: "text",
    n: "bigint",
    token: "bigint",
    outcome: "text",
    created_ms: "float8",
    crc: "bigint",
  },
  workflow_runs: {
    seq: "bigint",
    id: "text",
    workflow: "text",
    state: "text",
    length: "integer",
    asking: "integer",
    idempotency_key: "text",
    digest: "text",
    created_ms: "float8",
    updated_ms: "float8",
  },
  workflow_events: { run: "bigint", n: "integer", event: "text", crc: "bigint" },
};

/** What to copy where. */
export interface CopyOptions {
  /** The SQLite file; nobody else may be working with it. It is brought up to date, and otherwise left as it is. */
  readonly path: string;
  /** The URL of the database. */
  readonly url: string;
  /** The node whose outbox the file has. */
  readonly owner: string;
}

/** How much was copied. */
export interface CopyReport {
  readonly tasks: number;
  readonly outbox: number;
  /** Entries of the cache, with tombstones. */
  readonly cache: number;
  /** Runs of workflows; nobody conducts them until a node opens the database. */
  readonly runs: number;
}

/**
 * @throws InvalidInputError if the database has tasks or cache entries already
 * @throws StoreCorruptError if the file is damaged, and the errors of opening both
 */
export async function copySqliteToPostgres({ path, url, owner }: CopyOptions): Promise<CopyReport> {
  // Both are opened and closed once: that checks the one for damage, and brings the tables of both up to date.
  await (await openSqliteStores({ path })).close();
  await (await openPostgresStores({ url })).close();
  const address = parseAddress(url);
  const client = (await loadDriver(address, ["synchronous_commit=on"])).client();
  client.on("error", () => undefined);
  const connection = openForReading(path);
  try {
    connection.exec("BEGIN");
    await client.connect();
    await client.query("BEGIN");
    await requireEmpty(client, owner);
    const tasks = await copyTasks(connection, client);
    const cache = await copyCache(connection, client);
    const outbox = await copyRows(
      client,
      "outbox",
      connection.all("SELECT * FROM outbox ORDER BY n"),
      (row) => ({ ...row, owner }),
    );
    const runs = await copyRuns(connection, client);
    await setNumbers(connection, client);
    await compare(connection, client, owner);
    await client.query("COMMIT");
    return { tasks, outbox, cache, runs };
  } catch (error) {
    throw storeError(error, address.shown);
  } finally {
    connection.close();
    await client.end().catch(() => undefined);
  }
}

const filledRow = z.object({ filled: z.boolean() });

/** Locks the tables, so that no node begins to work with what is not whole yet. */
async function requireEmpty(client: Client, owner: string): Promise<void> {
  await client.query(
    "LOCK TABLE tasks, cache_node, cache_entries, outbox, task_counts, workflow_runs IN EXCLUSIVE MODE",
  );
  const { rows } = await client.query(
    `SELECT EXISTS (SELECT 1 FROM tasks) OR EXISTS (SELECT 1 FROM workflow_runs) OR EXISTS (SELECT 1 FROM cache_entries)
         OR EXISTS (SELECT 1 FROM outbox WHERE owner = $1) AS filled`,
    [owner],
  );
  if (!parsed(filledRow, rows[0]).filled) return;
  throw new InvalidInputError("the database is not empty; nothing was copied", {
    hint: "name another schema in the URL: ?schema=…",
  });
}

async function copyTasks(connection: Connection, client: Client): Promise<number> {
  let copied = 0;
  let after = 0;
  for (;;) {
    const rows = connection.all("SELECT * FROM tasks WHERE seq > :after ORDER BY seq LIMIT :limit", {
      after,
      limit: BATCH,
    });
    const last = rows.at(-1);
    if (!last) return copied;
    const upTo = Number(last["seq"]);
    copied += await copyRows(client, "tasks", rows);
    for (const table of ["payloads", "outcomes", "history", "logs"]) {
      await copyRows(
        client,
        table,
        connection.all(`SELECT * FROM ${table} WHERE seq > :after AND seq <= :upTo`, { after, upTo }),
      );
    }
    after = upTo;
  }
}

async function copyCache(connection: Connection, client: Client): Promise<number> {
  let copied = 0;
  let after = -1;
  for (;;) {
    const sql = "SELECT * FROM cache_entries WHERE change > :after ORDER BY change LIMIT :limit";
    const rows = connection.all(sql, { after, limit: BATCH });
    const last = rows.at(-1);
    if (!last) return copied;
    after = Number(last["change"]);
    copied += await copyRows(client, "cache_entries", rows, (row) => ({
      ...row,
      key_hash: hashOf(String(row["key"])),
    }));
  }
}

async function copyRuns(connection: Connection, client: Client): Promise<number> {
  const runs = connection.all("SELECT * FROM workflow_runs ORDER BY seq");
  await copyRows(client, "workflow_runs", runs);
  for (const { seq } of runs) {
    for (let after = 0; ;) {
      const sql = "SELECT * FROM workflow_events WHERE run = :seq AND n > :after ORDER BY n LIMIT :limit";
      const events = connection.all(sql, { seq: Number(seq), after, limit: BATCH });
      const last = events.at(-1);
      if (!last) break;
      await copyRows(client, "workflow_events", events);
      after = Number(last["n"]);
    }
  }
  return runs.length;
}

async function copyRows(
  client: Client,
  table: string,
  rows: readonly Row[],
  change: (row: Row) => Row = (row) => row,
): Promise<number> {
  const columns = Object.entries(TABLES[table] ?? {});
  const names = columns.map(([name]) => name);
  const lists = columns.map(([, type], i) => `$${i + 1}::${type}[]`);
  const text = `INSERT INTO ${table} (${names.join(", ")}) SELECT * FROM unnest(${lists.join(", ")})`;
  const values = rows.map(change).map((row) => names.map((name) => row[name] ?? null));
  for (const statement of listed(text, values)) await client.query(text, statement.values?.map(encodedValue));
  return rows.length;
}

const numberRow = z.object({ tasks: z.int(), outbox: z.int() });
const nodeRow = z.object({ clock: z.int(), floor: z.int(), changes: z.int() });

/** The last number that SQLite gave in a table, as an expression. */
function given(table: string): string {
  return `coalesce((SELECT seq FROM sqlite_sequence WHERE name = '${table}'), 0)`;
}

async function setNumbers(connection: Connection, client: Client): Promise<void> {
  const numbers = parsed(
    numberRow,
    connection.get(`SELECT ${given("tasks")} AS tasks, ${given("outbox")} AS outbox`),
  );
  await client.query(
    "SELECT setval(pg_get_serial_sequence('workflow_runs', 'seq'), 1 + (SELECT coalesce(max(seq), 0) FROM workflow_runs), false)",
  );
  const node = parsed(nodeRow, connection.get("SELECT clock, floor, changes FROM cache_node"));
  await client.query(
    "SELECT setval('task_numbers', $1 + 1, false), setval('outbox_numbers', greatest($2 + 1, nextval('outbox_numbers')), false)",
    [numbers.tasks, numbers.outbox],
  );
  await client.query("INSERT INTO task_counts (phase, n) SELECT phase, count(*) FROM tasks GROUP BY phase");
  await client.query(
    `UPDATE cache_node SET clock = $1, floor = $2, changes = $3,
       entries = (SELECT count(*) FROM cache_entries WHERE live = 1),
       bytes = (SELECT coalesce(sum(bytes), 0) FROM cache_entries WHERE live = 1),
       tombstones = (SELECT count(*) FROM cache_entries WHERE live = 0)`,
    [node.clock, node.floor, node.changes],
  );
}

const countRow = z.object({ n: z.int() });

/** Every table must have as many rows as it had. */
async function compare(connection: Connection, client: Client, owner: string): Promise<void> {
  for (const table of Object.keys(TABLES)) {
    const { n: before } = parsed(countRow, connection.get(`SELECT count(*) AS n FROM ${table}`));
    const mine = table === "outbox" ? " WHERE owner = $1" : "";
    const { rows } = await client.query(
      `SELECT count(*) AS n FROM ${table}${mine}`,
      mine === "" ? [] : [owner],
    );
    const { n: after } = parsed(countRow, rows[0]);
    if (before === after) continue;
    throw new StoreCorruptError(`of ${before} rows of ${table}, ${after} would arrive; nothing was copied`, {
      hint: DAMAGE_HINT,
    });
  }
}
