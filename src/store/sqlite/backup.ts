/** A copy of a database file, taken while nodes work with it. */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { InvalidInputError, StoreCorruptError } from "../../errors.ts";
import { CORRUPT_HINT } from "./failure.ts";
import { checkSqliteStore } from "./check.ts";
import { openForReading } from "./open.ts";

/** What was copied. */
export interface BackupReport {
  /** Of the copy. */
  readonly bytes: number;
  readonly tasks: number;
}

/**
 * Copies the database at `path` to the new file `target`, as it is at this moment; others may go on writing. The copy is
 * checked whole and on disk before it gets its name, so that a file of that name is always a sound backup.
 *
 * @throws InvalidInputError if there is a file at `target`
 * @throws StoreCorruptError if the database is damaged; then there is no backup
 * @throws StoreVersionError, StoreLockedError, StoreFullError, StoreReadOnlyError, StoreFailedError
 */
export function backUpSqlite(path: string, target: string): BackupReport {
  if (existsSync(target))
    throw new InvalidInputError(`there is a file ${target}`, { hint: "name a new one" });
  const unfinished = `${target}.unfinished`;
  rmSync(unfinished, { force: true });
  try {
    const connection = openForReading(path);
    try {
      // Not SQLite's backup of pages, which starts over whenever another process writes.
      connection.run("VACUUM INTO ?1", [unfinished]);
    } finally {
      connection.close();
    }
    const { findings, tasks, bytes } = checkSqliteStore(unfinished);
    const [first] = findings;
    if (first)
      throw new StoreCorruptError(`the database ${path} is damaged: ${first.what}`, { hint: CORRUPT_HINT });
    flush(unfinished);
    renameSync(unfinished, target);
    flush(dirname(target));
    return { bytes, tasks };
  } finally {
    rmSync(unfinished, { force: true });
  }
}

/** SQLite leaves what it copies to the operating system. */
function flush(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
