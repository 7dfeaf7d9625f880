/**
 * Opens a database file, or says clearly why not.
 *
 * A file that is not ours is looked at without SQLite: merely closing a connection may move a foreign
 * write-ahead log into its file. The file format is https://www.sqlite.org/fileformat2.html, section 1.3.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import * as z from "zod";
import { hasCode, StoreCorruptError, StoreLockedError } from "../../errors.ts";
import { type Logger, silentLogger } from "../../logger.ts";
import { BUSY_TIMEOUT_MS, Connection } from "./connection.ts";
import { CORRUPT_HINT, storeError } from "./failure.ts";
import { loadSqlite } from "./load.ts";
import { checkVersion, isOutdated, migrate } from "./migrations.ts";
import { inspectWal } from "./wal.ts";

/** Marks a file as ours, in its header: "MCPP" in ASCII. */
const APPLICATION_ID = 0x4d435050;
const MAGIC = "SQLite format 3\0";
const HEADER_BYTES = 100;
const APPLICATION_ID_OFFSET = 68;

/** A write-ahead log that a burst made larger than this is cut back at the next checkpoint. */
const MAX_IDLE_WAL_BYTES = 64 * 1024 * 1024;

/** Room for the inner pages of every index of a queue of a million tasks, so that a claim does not go to the file. */
const CACHE_KIB = 32 * 1024;

/** Files up to this size are checked with their indexes when they are opened, which takes twice as long. */
const INDEX_CHECK_BYTES = 16 * 1024 * 1024;

/**
 * Files up to this size are checked whole when they are opened; larger ones only where the queue lives, without
 * payloads and results.
 */
const WHOLE_CHECK_BYTES = 64 * 1024 * 1024;

/** Which file, and how large it may get. */
export interface DatabaseOptions {
  readonly path: string;
  /** The file does not grow beyond this; default: as far as the disk goes. */
  readonly maxBytes?: number | undefined;
  /** Default: nothing is logged. */
  readonly logger?: Logger | undefined;
}

/**
 * Opens a database of ours, makes it if it is missing, and brings its schema up to date.
 *
 * Reads the file to find damage, which holds the event loop for about 5 ms a megabyte up to {@link INDEX_CHECK_BYTES}
 * (`PRAGMA integrity_check`), 3 ms up to {@link WHOLE_CHECK_BYTES} (`quick_check`), and 2 ms of a larger file.
 *
 * @throws StoreCorruptError, StoreVersionError, StoreLockedError, StoreReadOnlyError, StoreFullError, StoreFailedError
 */
export function openDatabase({ path, maxBytes, logger = silentLogger }: DatabaseOptions): Connection {
  refuseSecond(path);
  const bytes = identify(path, "a+");
  checkLog(path, logger);
  const connection = connect(path, false);
  try {
    checkVersion(connection);
    if (bytes > 0) checkIntegrity(connection, bytes);
    prepare(connection, maxBytes);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/**
 * The files that this process has open. A second look at one would be worse than useless: POSIX drops all locks of
 * a process on a file when it closes any descriptor of it (https://www.sqlite.org/howtocorrupt.html, section 2.2).
 */
const openFiles = new Set<string>();

function fileKey(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat && `${stat.dev}:${stat.ino}`;
}

function refuseSecond(path: string): void {
  const key = fileKey(path);
  if (key === undefined || !openFiles.has(key)) return;
  throw new StoreLockedError(`this process has the database ${path} open already`, {
    hint: "close it first",
  });
}

function holdFile(path: string): string {
  const key = fileKey(path) ?? path;
  openFiles.add(key);
  return key;
}

/**
 * Opens a database of ours that is there, for reading only; another process may be working with it. Nothing but the
 * structure of its header and the version of its schema is checked.
 *
 * @throws StoreCorruptError, StoreVersionError, StoreLockedError, StoreReadOnlyError, StoreFailedError
 */
export function openForReading(path: string): Connection {
  refuseSecond(path);
  identify(path, "r");
  const connection = connect(path, true);
  try {
    checkVersion(connection);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

function connect(path: string, readOnly: boolean): Connection {
  const { DatabaseSync } = loadSqlite();
  try {
    const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, readOnly });
    const key = holdFile(path);
    return new Connection(db, path, () => openFiles.delete(key));
  } catch (error) {
    throw storeError(error, path);
  }
}

/** @param mode - `a+` makes the file if it is missing, readable for its owner only @returns its size @throws StoreCorruptError if it is not ours */
function identify(path: string, mode: "r" | "a+"): number {
  let file: number;
  try {
    file = openSync(path, mode, 0o600);
  } catch (error) {
    throw storeError(error, path);
  }
  try {
    const { size } = fstatSync(file);
    const header = Buffer.alloc(HEADER_BYTES);
    const read = readSync(file, header, 0, HEADER_BYTES, 0);
    if (size > 0) checkHeader(header.subarray(0, read), path);
    return size;
  } catch (error) {
    throw storeError(error, path);
  } finally {
    closeSync(file);
  }
}

function checkHeader(header: Buffer, path: string): void {
  if (header.length < HEADER_BYTES || header.toString("latin1", 0, MAGIC.length) !== MAGIC) {
    throw new StoreCorruptError(`the file ${path} is not a database, or its beginning is damaged`, {
      hint: CORRUPT_HINT,
    });
  }
  if (header.readUInt32BE(APPLICATION_ID_OFFSET) !== APPLICATION_ID) {
    throw new StoreCorruptError(`the database ${path} belongs to another program; it was not changed`, {
      hint: "name another file",
    });
  }
}

/** @throws StoreCorruptError if opening the database would forget what was acknowledged */
function checkLog(path: string, logger: Logger): void {
  const state = inspectWal(path);
  if (state === "torn") logger.warn({ path }, "the last transaction was not finished, and is undone");
  if (state !== "damaged") return;
  throw new StoreCorruptError(`the write-ahead log ${path}-wal is damaged; it was not changed`, {
    hint: CORRUPT_HINT,
  });
}

const checkRow = z.record(z.string(), z.string());

function checkIntegrity(connection: Connection, bytes: number): void {
  const quick = bytes <= WHOLE_CHECK_BYTES ? "PRAGMA quick_check(1)" : "PRAGMA quick_check('tasks')";
  const sql = bytes <= INDEX_CHECK_BYTES ? "PRAGMA integrity_check(1)" : quick;
  const [finding] = Object.values(checkRow.parse(connection.get(sql)));
  if (finding === "ok") return;
  throw new StoreCorruptError(`the database ${connection.path} is damaged: ${finding}`, {
    hint: CORRUPT_HINT,
  });
}

/** The mark comes before the write-ahead log, so that it is in the file itself, where {@link identify} looks. */
function prepare(connection: Connection, maxBytes: number | undefined): void {
  connection.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
  if (isOutdated(connection)) upgradeAlone(connection);
  connection.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA journal_size_limit = ${MAX_IDLE_WAL_BYTES};
    PRAGMA cache_size = -${CACHE_KIB};
    PRAGMA temp_store = MEMORY;
    PRAGMA foreign_keys = OFF;`);
  if (maxBytes !== undefined) limitSize(connection, maxBytes);
  migrate(connection);
  // The first write would find out whether the file can be written; better to know before anything is promised.
  connection.exec("BEGIN IMMEDIATE; ROLLBACK;");
}

/**
 * Changes the schema while nobody else has the file open, which the change of the journal's mode asks SQLite for: it needs
 * the file for itself, and exclusive mode keeps it until the steps are taken. A process that opens the file then waits.
 *
 * @throws StoreLockedError if another process has it open
 */
function upgradeAlone(connection: Connection): void {
  try {
    connection.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE");
    connection.exec("BEGIN EXCLUSIVE; COMMIT");
  } catch (error) {
    if (!hasCode(error, "E_STORE_LOCKED")) throw error;
    throw new StoreLockedError(
      `the database ${connection.path} is of an older version and must be brought up to date, but another process has it open`,
      { cause: error, hint: "end every node and worker on this file, and start them with this version" },
    );
  }
  migrate(connection);
  // The next access gives the file free.
  connection.exec("PRAGMA locking_mode = NORMAL");
}

const pageRow = z.object({ page_size: z.int() });

function limitSize(connection: Connection, maxBytes: number): void {
  const pageBytes = pageRow.parse(connection.get("PRAGMA page_size")).page_size;
  connection.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(maxBytes / pageBytes))}`);
}
