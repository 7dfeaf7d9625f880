/**
 * The schema, as the list of steps that lead to it. `PRAGMA user_version` says how many were taken.
 *
 * A step that was released is never changed: files exist that took it. Append a new one.
 * The numbers of phases are those of phase.ts. Three conditions of partial indexes are repeated word for word in
 * the statements that use them: `phase = 0`, `phase >= 3`, and a comparison of `due_ms`, which implies NOT NULL.
 */
import { StoreVersionError } from "../../errors.ts";
import * as z from "zod";
import type { Connection } from "./connection.ts";

/**
 * Tasks. The row that changes often is small; payloads, results, logs and history are beside it.
 *
 * `token` is the fencing token and only grows; `attempt` goes back when a task is handed back unbegun.
 */
const TASKS = `
  CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    model_name TEXT NOT NULL,
    lane TEXT NOT NULL,
    priority INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    token INTEGER NOT NULL DEFAULT 0,
    settled_token INTEGER,
    due_ms REAL,
    ready_ms REAL NOT NULL,
    worker_id TEXT,
    holder TEXT,
    idempotency_key TEXT,
    digest TEXT NOT NULL,
    events INTEGER NOT NULL DEFAULT 1,
    created_ms REAL NOT NULL,
    updated_ms REAL NOT NULL
  ) STRICT;
  CREATE INDEX tasks_ready ON tasks (lane, priority DESC, seq) WHERE phase = 0;
  CREATE INDEX tasks_waiting ON tasks (ready_ms) WHERE phase = 0;
  CREATE INDEX tasks_due ON tasks (due_ms) WHERE due_ms IS NOT NULL;
  CREATE UNIQUE INDEX tasks_key ON tasks (idempotency_key) WHERE idempotency_key IS NOT NULL;
  CREATE INDEX tasks_finished ON tasks (updated_ms) WHERE phase >= 3;
  CREATE INDEX tasks_by_phase ON tasks (phase);
  CREATE INDEX tasks_by_type ON tasks (type, phase);

  CREATE TABLE payloads (seq INTEGER PRIMARY KEY, payload TEXT NOT NULL) STRICT;
  CREATE TABLE outcomes (seq INTEGER PRIMARY KEY, error TEXT, progress TEXT, result TEXT) STRICT;
  CREATE TABLE history (
    seq INTEGER NOT NULL, n INTEGER NOT NULL,
    at_ms REAL NOT NULL, kind TEXT NOT NULL, worker_id TEXT, token INTEGER, detail TEXT,
    PRIMARY KEY (seq, n)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE logs (
    seq INTEGER NOT NULL, n INTEGER NOT NULL,
    at_ms REAL NOT NULL, stream TEXT NOT NULL, message TEXT NOT NULL,
    PRIMARY KEY (seq, n)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE task_counts (phase INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT;
  INSERT INTO task_counts VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0);
  CREATE TRIGGER task_inserted AFTER INSERT ON tasks BEGIN
    UPDATE task_counts SET n = n + 1 WHERE phase = new.phase;
  END;
  CREATE TRIGGER task_moved AFTER UPDATE OF phase ON tasks WHEN old.phase <> new.phase BEGIN
    UPDATE task_counts SET n = n - 1 WHERE phase = old.phase;
    UPDATE task_counts SET n = n + 1 WHERE phase = new.phase;
  END;
  CREATE TRIGGER task_deleted AFTER DELETE ON tasks BEGIN
    UPDATE task_counts SET n = n - 1 WHERE phase = old.phase;
  END;`;

/** The cache. `written` is the order of the writes; a row that is not `live` is a tombstone. */
const CACHE = `
  CREATE TABLE cache (
    written INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    live INTEGER NOT NULL,
    expires_ms REAL,
    bytes INTEGER NOT NULL,
    value TEXT
  ) STRICT;
  CREATE INDEX cache_by_age ON cache (live, written);
  CREATE INDEX cache_by_end ON cache (expires_ms) WHERE expires_ms IS NOT NULL;
  CREATE TABLE cache_sums (live INTEGER PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
  INSERT INTO cache_sums VALUES (0, 0, 0), (1, 0, 0);
  CREATE TRIGGER cache_inserted AFTER INSERT ON cache BEGIN
    UPDATE cache_sums SET entries = entries + 1, bytes = bytes + new.bytes WHERE live = new.live;
  END;
  CREATE TRIGGER cache_updated AFTER UPDATE OF live ON cache BEGIN
    UPDATE cache_sums SET entries = entries - 1, bytes = bytes - old.bytes WHERE live = old.live;
    UPDATE cache_sums SET entries = entries + 1, bytes = bytes + new.bytes WHERE live = new.live;
  END;
  CREATE TRIGGER cache_deleted AFTER DELETE ON cache BEGIN
    UPDATE cache_sums SET entries = entries - 1, bytes = bytes - old.bytes WHERE live = old.live;
  END;
  CREATE TABLE cache_floor (version INTEGER NOT NULL) STRICT;
  INSERT INTO cache_floor VALUES (0);`;

const OUTBOX = `
  CREATE TABLE outbox (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    task_id TEXT NOT NULL,
    token INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    created_ms REAL NOT NULL,
    UNIQUE (queue, task_id)
  ) STRICT;
  CREATE INDEX outbox_by_age ON outbox (created_ms, n);`;

/**
 * The cache with versions that hold among several nodes. `change` is the number of an entry's last change; numbers
 * are never given twice, so that who has seen all up to one misses nothing. `stamp` and `origin` are the version
 * (cache/version.ts). A row that is not `live` is a tombstone; `cache_node` is the store's own name, the highest stamp
 * given or seen, the highest stamp among forgotten tombstones, and the number of the last change.
 */
const CACHE_VERSIONS = `
  CREATE TABLE cache_entries (
    change INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    stamp INTEGER NOT NULL,
    origin TEXT NOT NULL,
    live INTEGER NOT NULL,
    expires_ms REAL,
    bytes INTEGER NOT NULL,
    value TEXT
  ) STRICT;
  CREATE TABLE cache_node (
    origin TEXT NOT NULL, clock INTEGER NOT NULL, floor INTEGER NOT NULL, changes INTEGER NOT NULL
  ) STRICT;
  INSERT INTO cache_node
  SELECT lower(hex(randomblob(16))), max(f.version, coalesce(max(c.version), 0)), f.version, coalesce(max(c.written), 0)
    FROM cache_floor f LEFT JOIN cache c;
  INSERT INTO cache_entries
  SELECT written, key, version, (SELECT origin FROM cache_node), live, expires_ms, bytes, value FROM cache;
  DROP TABLE cache;
  DROP TABLE cache_floor;
  CREATE INDEX cache_by_age ON cache_entries (live, change);
  CREATE INDEX cache_by_end ON cache_entries (expires_ms) WHERE expires_ms IS NOT NULL;
  CREATE TRIGGER cache_inserted AFTER INSERT ON cache_entries BEGIN
    UPDATE cache_sums SET entries = entries + 1, bytes = bytes + new.bytes WHERE live = new.live;
  END;
  CREATE TRIGGER cache_updated AFTER UPDATE OF live ON cache_entries BEGIN
    UPDATE cache_sums SET entries = entries - 1, bytes = bytes - old.bytes WHERE live = old.live;
    UPDATE cache_sums SET entries = entries + 1, bytes = bytes + new.bytes WHERE live = new.live;
  END;
  CREATE TRIGGER cache_deleted AFTER DELETE ON cache_entries BEGIN
    UPDATE cache_sums SET entries = entries - 1, bytes = bytes - old.bytes WHERE live = old.live;
  END;`;

/** Checksums of bodies; NULL in a row that was written before this step. See checksum.ts. */
const CHECKSUMS = `
  ALTER TABLE payloads ADD COLUMN crc INTEGER;
  ALTER TABLE outcomes ADD COLUMN crc INTEGER;
  ALTER TABLE outcomes ADD COLUMN progress_crc INTEGER;
  ALTER TABLE outbox ADD COLUMN crc INTEGER;`;

/** How long the lease in force was when its worker last asked; NULL once the owner has lengthened it by itself. */
const LEASE_LENGTH = "ALTER TABLE tasks ADD COLUMN lease_ms REAL;";

/** What these counted is added up in memory; see counts.ts. */
const NO_TRIGGERS = `
  DROP TRIGGER IF EXISTS task_inserted;
  DROP TRIGGER IF EXISTS task_moved;
  DROP TRIGGER IF EXISTS task_deleted;`;

/**
 * Runs of workflows. The row says where a run is and who conducts it; its log is beside it, and only grows. An
 * instance is a process; who has the name of a conductor that is gone need not wait for the end of its lease.
 */
const WORKFLOWS = `
  CREATE TABLE workflow_runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    state TEXT NOT NULL,
    length INTEGER NOT NULL,
    asking INTEGER NOT NULL,
    idempotency_key TEXT,
    digest TEXT NOT NULL,
    conductor TEXT,
    instance TEXT,
    until_ms REAL,
    created_ms REAL NOT NULL,
    updated_ms REAL NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX workflow_runs_key ON workflow_runs (idempotency_key) WHERE idempotency_key IS NOT NULL;
  CREATE INDEX workflow_runs_running ON workflow_runs (instance, until_ms) WHERE state = 'running';
  CREATE INDEX workflow_runs_ended ON workflow_runs (updated_ms) WHERE state <> 'running';
  CREATE TABLE workflow_events (
    run INTEGER NOT NULL, n INTEGER NOT NULL, event TEXT NOT NULL, crc INTEGER NOT NULL,
    PRIMARY KEY (run, n)
  ) STRICT;`;

/** In the order in which they are taken. The database is at version n once the first n were. */
const MIGRATIONS: readonly string[] = [
  TASKS + CACHE + OUTBOX,
  CACHE_VERSIONS,
  CHECKSUMS,
  LEASE_LENGTH,
  NO_TRIGGERS,
  WORKFLOWS,
];

const versionRow = z.object({ user_version: z.int() });

/** The version of the schema that the file has; 0 for a new file. */
export function schemaVersion(connection: Connection): number {
  return versionRow.parse(connection.get("PRAGMA user_version")).user_version;
}

/** @throws StoreVersionError if the file knows steps that this version of the program does not */
export function checkVersion(connection: Connection): void {
  const version = schemaVersion(connection);
  if (version > MIGRATIONS.length) {
    throw new StoreVersionError(
      `the database ${connection.path} has schema version ${version}; this version of mcplusplus knows ${MIGRATIONS.length}`,
      { hint: "update mcplusplus, or use another data folder; the file was not changed" },
    );
  }
}

/** Whether the file has tables, but not all that this version of the program makes. */
export function isOutdated(connection: Connection): boolean {
  const version = schemaVersion(connection);
  return version > 0 && version < MIGRATIONS.length;
}

/**
 * Takes the steps that are missing, each in a transaction of its own. A process of an older version of the program must not
 * have the file open meanwhile, nor afterwards: it would go on by the rules of the schema that it knows. One that opens the
 * file afterwards refuses it by itself.
 *
 * @param upTo - the version to stop at; default: the last
 */
export function migrate(connection: Connection, upTo: number = MIGRATIONS.length): void {
  for (const [version, step] of MIGRATIONS.slice(0, upTo).entries()) {
    if (version < schemaVersion(connection)) continue;
    connection.exec("BEGIN IMMEDIATE");
    try {
      // Asked again under the lock: another process may have taken the step meanwhile.
      if (version >= schemaVersion(connection))
        connection.exec(`${step}; PRAGMA user_version = ${version + 1};`);
      connection.exec("COMMIT");
    } catch (error) {
      if (connection.inTransaction) connection.exec("ROLLBACK");
      throw error;
    }
  }
}
