/**
 * The schema, as the list of steps that lead to it. The table `schema_version` says how many were taken.
 *
 * It is SQLite's (sqlite/migrations.ts) but for what many writers need: sums that everybody would have to wait for are
 * kept as changes, one row a transaction, and added up when they are read. A step that was released is never changed.
 */
import type { Client } from "pg";
import * as z from "zod";
import { StoreVersionError } from "../../errors.ts";
import type { Address } from "./address.ts";

/** "MCPP" in ASCII: the advisory lock under which the schema changes. */
const MIGRATION_LOCK = 0x4d435050;

/** Rows of tasks change a few times and are then left alone: they are cleaned up often, a little each time. */
const BUSY_TABLE = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000";

const TASKS = `
  CREATE SEQUENCE task_numbers;
  CREATE TABLE tasks (
    seq bigint PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    type text COLLATE "C" NOT NULL,
    model_name text NOT NULL,
    lane text COLLATE "C" NOT NULL,
    priority integer NOT NULL,
    phase smallint NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL,
    token bigint NOT NULL DEFAULT 0,
    settled_token bigint,
    due_ms double precision,
    ready_ms double precision NOT NULL,
    lease_ms double precision,
    worker_id text,
    holder text,
    idempotency_key text COLLATE "C",
    digest text NOT NULL,
    events integer NOT NULL DEFAULT 1,
    created_ms double precision NOT NULL,
    updated_ms double precision NOT NULL
  ) WITH (fillfactor = 70, ${BUSY_TABLE});
  CREATE INDEX tasks_ready ON tasks (lane, priority DESC, seq) WHERE phase = 0;
  CREATE INDEX tasks_waiting ON tasks (ready_ms) WHERE phase = 0;
  CREATE INDEX tasks_due ON tasks (due_ms, seq) WHERE due_ms IS NOT NULL;
  CREATE UNIQUE INDEX tasks_key ON tasks (idempotency_key) WHERE idempotency_key IS NOT NULL;
  CREATE INDEX tasks_finished ON tasks (updated_ms) WHERE phase >= 3;
  CREATE INDEX tasks_by_phase ON tasks (phase, seq);
  CREATE INDEX tasks_by_type ON tasks (type, phase, seq);

  CREATE TABLE payloads (seq bigint PRIMARY KEY, payload text NOT NULL, crc bigint);
  CREATE TABLE outcomes (
    seq bigint PRIMARY KEY, error text, progress text, result text, crc bigint, progress_crc bigint
  ) WITH (${BUSY_TABLE});
  CREATE TABLE history (
    seq bigint NOT NULL, n integer NOT NULL,
    at_ms double precision NOT NULL, kind text NOT NULL, worker_id text, token bigint, detail text,
    PRIMARY KEY (seq, n)
  );
  CREATE TABLE logs (
    seq bigint NOT NULL, n integer NOT NULL,
    at_ms double precision NOT NULL, stream text NOT NULL, message text NOT NULL,
    PRIMARY KEY (seq, n)
  );
  CREATE TABLE task_counts (phase smallint NOT NULL, n bigint NOT NULL) WITH (${BUSY_TABLE});
  CREATE TABLE commits (
    id uuid PRIMARY KEY, seqs bigint[], at timestamptz NOT NULL DEFAULT now()
  ) WITH (${BUSY_TABLE});`;

/** `cache_node` has one row, which whoever writes locks: the change log must have no gap that fills up later. */
const CACHE = `
  CREATE TABLE cache_entries (
    change bigint PRIMARY KEY,
    key text NOT NULL,
    key_hash text COLLATE "C" NOT NULL UNIQUE,
    stamp bigint NOT NULL,
    origin text NOT NULL,
    live smallint NOT NULL,
    expires_ms double precision,
    bytes bigint NOT NULL,
    value text
  ) WITH (${BUSY_TABLE});
  CREATE INDEX cache_by_age ON cache_entries (live, change);
  CREATE INDEX cache_by_end ON cache_entries (expires_ms) WHERE expires_ms IS NOT NULL;
  CREATE TABLE cache_node (
    origin text NOT NULL, clock bigint NOT NULL, floor bigint NOT NULL, changes bigint NOT NULL,
    entries bigint NOT NULL, bytes bigint NOT NULL, tombstones bigint NOT NULL
  ) WITH (fillfactor = 10);
  INSERT INTO cache_node VALUES (replace(gen_random_uuid()::text, '-', ''), 0, 0, 0, 0, 0, 0);`;

const OUTBOX = `
  CREATE SEQUENCE outbox_numbers;
  CREATE TABLE outbox (
    owner text NOT NULL,
    queue text NOT NULL,
    task_id text NOT NULL,
    n bigint NOT NULL,
    token bigint NOT NULL,
    outcome text NOT NULL,
    created_ms double precision NOT NULL,
    crc bigint,
    PRIMARY KEY (owner, queue, task_id)
  );
  CREATE INDEX outbox_by_age ON outbox (owner, queue, created_ms, n);`;

/** In the order in which they are taken. */
const MIGRATIONS: readonly string[] = [TASKS + CACHE + OUTBOX];

// Not to_regclass, which within a transaction may remember that there was nothing.
const THERE = `
  SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = $1 AND c.relname = 'schema_version') AS there`;

const versionRow = z.object({ version: z.int() });
const thereRow = z.object({ there: z.boolean() });

/**
 * Makes the schema, or takes the steps that it lacks, while no other process does.
 *
 * @throws StoreVersionError if it knows steps that this version of the program does not
 */
export async function migrate(client: Client, address: Address): Promise<void> {
  if ((await schemaVersion(client, address)) === MIGRATIONS.length) return;
  await client.query("BEGIN");
  try {
    await client.query("SELECT pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
    // Asked again under the lock: another process may have taken the steps meanwhile.
    const version = await schemaVersion(client, address);
    if (version === 0) {
      await client.query(`CREATE SCHEMA IF NOT EXISTS ${address.schema}`);
      await client.query(`CREATE TABLE ${address.schema}.schema_version (version integer NOT NULL)`);
      await client.query(`INSERT INTO ${address.schema}.schema_version VALUES (0)`);
    }
    for (const step of MIGRATIONS.slice(version)) await client.query(step);
    await client.query(`UPDATE ${address.schema}.schema_version SET version = $1`, [MIGRATIONS.length]);
    await client.query("COMMIT");
  } catch (error) {
    // The connection is not used any further; it may have gone already.
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}

/** The version of the schema that the database has; 0 if there is none. @throws StoreVersionError if it is a later one */
export async function schemaVersion(client: Client, { schema, shown }: Address): Promise<number> {
  const found = await client.query(THERE, [schema]);
  if (!thereRow.parse(found.rows[0]).there) return 0;
  const { rows } = await client.query(`SELECT version FROM ${schema}.schema_version`);
  const { version } = versionRow.parse(rows[0]);
  if (version > MIGRATIONS.length) {
    throw new StoreVersionError(
      `the database at ${shown} has schema version ${version}; this version of mcplusplus knows ${MIGRATIONS.length}`,
      { hint: "update mcplusplus, or name another schema; nothing was changed" },
    );
  }
  return version;
}
