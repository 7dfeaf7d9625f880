/**
 * SQLite's failures as errors of ours.
 *
 * Result codes: https://www.sqlite.org/rescode.html. The low byte is the primary code.
 */
import {
  McpError,
  StoreCorruptError,
  StoreFailedError,
  StoreFullError,
  StoreLockedError,
  StoreReadOnlyError,
} from "../../errors.ts";

/** What to do about a damaged file, whoever finds it. */
export const CORRUPT_HINT =
  "stop the node, move the file and its -wal and -shm files away, and restore a backup or start afresh";

const PRIMARY_CODE = 0xff;
/** What SQLite says of a statement of ours when the schema in the file is not the one that we made. */
const SCHEMA_FAULT =
  /no such|has no column|already exists|duplicate column|malformed|unsupported file format/;
/** SQLITE_IOERR_SHORT_READ: the file ends before the page that its own header promises. */
const SHORT_READ = 522;

/** `error` as an error of ours, with the original as its cause; what SQLite did not throw stays as it is. */
export function storeError(error: unknown, path: string): unknown {
  if (error instanceof McpError || !(error instanceof Error)) return error;
  // An integer that no number holds: nothing of ours writes one.
  if ("code" in error && error.code === "ERR_OUT_OF_RANGE") return corrupt(error, path);
  const code = sqliteCode(error);
  if (code !== undefined) return fromSqlite(code, error, path);
  return "code" in error && "syscall" in error ? fromSystem(String(error.code), error, path) : error;
}

/** SQLite's extended result code; undefined if SQLite did not throw it. */
function sqliteCode(error: Error): number | undefined {
  const ours = "code" in error && error.code === "ERR_SQLITE_ERROR" && "errcode" in error;
  return ours && typeof error.errcode === "number" ? error.errcode : undefined;
}

function fromSqlite(code: number, cause: Error, path: string): unknown {
  if (code === SHORT_READ) return corrupt(cause, path);
  switch (code & PRIMARY_CODE) {
    case 1: // SQLITE_ERROR: the statements are ours and right, so the schema is not
      return SCHEMA_FAULT.test(cause.message) ? corrupt(cause, path) : cause;
    case 5: // SQLITE_BUSY
    case 6: // SQLITE_LOCKED
      return new StoreLockedError(`another process holds the database ${path}`, {
        cause,
        hint: "stop the other process, or give this node a data folder of its own",
      });
    case 8: // SQLITE_READONLY
      return readOnly(cause, path);
    case 10: // SQLITE_IOERR
      return new StoreFailedError(`the disk failed under the database ${path}: ${cause.message}`, { cause });
    case 11: // SQLITE_CORRUPT
    case 26: // SQLITE_NOTADB
      return corrupt(cause, path);
    case 13: // SQLITE_FULL
      return full(cause, path);
    case 14: // SQLITE_CANTOPEN: the file was opened before, so it is the -wal or -shm file beside it
      return readOnly(cause, path);
    default:
      return cause;
  }
}

function fromSystem(code: string, cause: Error, path: string): unknown {
  switch (code) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return readOnly(cause, path);
    case "ENOSPC":
    case "EDQUOT":
      return full(cause, path);
    default:
      return new StoreFailedError(`the database ${path} cannot be opened: ${cause.message}`, { cause });
  }
}

function corrupt(cause: Error, path: string): StoreCorruptError {
  return new StoreCorruptError(`the database ${path} is damaged: ${cause.message}`, {
    cause,
    hint: CORRUPT_HINT,
  });
}

function readOnly(cause: Error, path: string): StoreReadOnlyError {
  return new StoreReadOnlyError(`the database ${path} cannot be written: ${cause.message}`, {
    cause,
    hint: "the file and the folder it is in must be writable for the user that runs the node",
  });
}

function full(cause: Error, path: string): StoreFullError {
  return new StoreFullError(`there is no room left for the database ${path}`, {
    cause,
    hint: "free disk space, or prune finished tasks",
  });
}
