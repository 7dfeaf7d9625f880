/** A database file with its prepared statements. Everything it throws is an error of ours. */
import type {
  DatabaseSync,
  SQLInputValue,
  SQLOutputValue,
  StatementResultingChanges,
  StatementSync,
} from "node:sqlite";
import { PhaseCounts } from "./counts.ts";
import { storeError } from "./failure.ts";

/**
 * How long a call waits for another process to let go of the file. It holds the event loop, so it is only for moments
 * such as another's last close; writes ask without waiting, and again later.
 */
export const BUSY_TIMEOUT_MS = 1000;

/** A row as SQLite gives it, before a schema makes it ours. */
export type Row = Readonly<Record<string, SQLOutputValue>>;
/**
 * Values by the names that the statement has for them, or in the order of its numbers (`?1`, `?2`), which costs a
 * fraction and is for what every task goes through.
 */
export type Values = Record<string, SQLInputValue> | readonly SQLInputValue[];

/** A statement that only reads begins with one of these. */
const READS = /^\s*(SELECT|WITH|PRAGMA)\b/;

interface Prepared {
  readonly statement: StatementSync;
  readonly reads: boolean;
}

/** One connection. All calls are synchronous: they end before the event loop turns. */
export class Connection {
  readonly path: string;
  /** Changes with the tasks' phases; written by the group commit. */
  readonly counts: PhaseCounts = new PhaseCounts();
  readonly #db: DatabaseSync;
  /** Every statement in use is a constant of a module, so this does not grow. */
  readonly #statements = new Map<string, Prepared>();
  #writes = 0;

  readonly #onClose: () => void;

  /** @param onClose - called once it is closed */
  constructor(db: DatabaseSync, path: string, onClose: () => void = () => undefined) {
    this.#db = db;
    this.path = path;
    this.#onClose = onClose;
  }

  /** Whether a transaction is open. SQLite ends it by itself after some failures. */
  get inTransaction(): boolean {
    return this.#db.isTransaction;
  }

  /** Grows with every statement that changed something, or may have. */
  get writes(): number {
    return this.#writes;
  }

  /** The first row; undefined if there is none. */
  get(sql: string, values?: Values): Row | undefined {
    try {
      const { statement, reads } = this.#prepared(sql);
      if (!reads) this.#writes += 1;
      if (values === undefined) return statement.get();
      return isList(values) ? statement.get(...values) : statement.get(values);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Every row. */
  all(sql: string, values?: Values): Row[] {
    try {
      const { statement, reads } = this.#prepared(sql);
      if (!reads) this.#writes += 1;
      if (values === undefined) return statement.all();
      return isList(values) ? statement.all(...values) : statement.all(values);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** @returns how many rows it changed */
  run(sql: string, values?: Values): number {
    return Number(this.#run(sql, values).changes);
  }

  /** Runs a statement that inserts one row. @returns its number; undefined if it was not inserted */
  insert(sql: string, values: Values): number | undefined {
    const { changes, lastInsertRowid } = this.#run(sql, values);
    return changes === 0 ? undefined : Number(lastInsertRowid);
  }

  /** Begins a transaction that writes, without waiting for other processes. @throws StoreLockedError if one is writing */
  beginOrThrow(): void {
    this.exec("PRAGMA busy_timeout = 0");
    try {
      this.run("BEGIN IMMEDIATE");
    } finally {
      this.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    }
  }

  /** Runs statements that give nothing back, without keeping them. */
  exec(sql: string): void {
    try {
      this.#db.exec(sql);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Closes the file; SQLite moves what is in the write-ahead log into it. */
  close(): void {
    this.#statements.clear();
    try {
      this.#db.close();
    } catch (error) {
      throw this.#failed(error);
    }
    this.#onClose();
  }

  #run(sql: string, values: Values | undefined): StatementResultingChanges {
    try {
      const { statement } = this.#prepared(sql);
      const list = values === undefined || isList(values);
      const result = list ? statement.run(...(values ?? [])) : statement.run(values);
      if (result.changes !== 0) this.#writes += 1;
      return result;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #prepared(sql: string): Prepared {
    let prepared = this.#statements.get(sql);
    if (!prepared) {
      prepared = { statement: this.#db.prepare(sql), reads: READS.test(sql) };
      this.#statements.set(sql, prepared);
    }
    return prepared;
  }

  /** What failed may have changed something before it did. */
  #failed(error: unknown): unknown {
    this.#writes += 1;
    return storeError(error, this.path);
  }
}

function isList(values: Values): values is readonly SQLInputValue[] {
  return Array.isArray(values);
}
