/** A database file with its prepared statements. Everything it throws is an error of ours. */
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import { storeError } from "./failure.ts";

/**
 * How long a call waits for another process to let go of the file. It holds the event loop, so it is only for moments
 * such as another's last close; writes ask without waiting, and again later.
 */
export const BUSY_TIMEOUT_MS = 1000;

/** A row as SQLite gives it, before a schema makes it ours. */
export type Row = Readonly<Record<string, SQLOutputValue>>;
/** Values by the names that the statement has for them. */
export type Values = Record<string, SQLInputValue>;

/** One connection. All calls are synchronous: they end before the event loop turns. */
export class Connection {
  readonly path: string;
  readonly #db: DatabaseSync;
  /** Every statement in use is a constant of a module, so this does not grow. */
  readonly #statements = new Map<string, StatementSync>();

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

  /** The first row; undefined if there is none. */
  get(sql: string, values: Values = {}): Row | undefined {
    return this.#try(() => this.#prepared(sql).get(values));
  }

  /** Every row. */
  all(sql: string, values: Values = {}): Row[] {
    return this.#try(() => this.#prepared(sql).all(values));
  }

  /** @returns how many rows it changed */
  run(sql: string, values: Values = {}): number {
    return this.#try(() => Number(this.#prepared(sql).run(values).changes));
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
    this.#try(() => this.#db.exec(sql));
  }

  /** Closes the file; SQLite moves what is in the write-ahead log into it. */
  close(): void {
    this.#statements.clear();
    this.#try(() => this.#db.close());
    this.#onClose();
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #try<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw storeError(error, this.path);
    }
  }
}
