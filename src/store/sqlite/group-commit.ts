/**
 * Many writes, one fsync.
 *
 * Writes that are asked for in one turn of the event loop run in one transaction when it ends. One that fails before
 * it has changed anything, as nearly all failing ones do, is left out. If one fails later, the transaction is taken
 * back and done again with each write in a savepoint, so that only the failing one is taken back; savepoints for all
 * were rejected, because SQLite copies every page that a write touches after one. Nobody hears of a success before the commit; if the commit
 * fails, everybody hears that, also those that were refused: what refused them may never have happened.
 *
 * Other processes may have the same file open. SQLite lets one write at a time, and whoever asks in vain asks again
 * as soon as somebody has committed. So that none starves, a process that sees others write lets one of them go first
 * after each transaction: it waits for the next commit of somebody else, but not longer than a moment.
 *
 * It stays in this thread: a worker thread costs about a millisecond a turn when there is little to do.
 */
import type { Logger } from "../../logger.ts";
import { hasCode, StoreLockedError } from "../../errors.ts";
import type { Connection } from "./connection.ts";
import type { Neighbours } from "./neighbours.ts";

/** More writes than this in one transaction gain nothing, as the fsync is spread thin already. */
const MAX_BATCH = 1024;
/** A transaction takes no further write after this long, so that others get the event loop. */
const MAX_BATCH_MS = 10;

/** How soon a write is tried again when another process is writing and does not tell of its commit. */
const RETRY_MS = 1;
/** How long somebody else may take to commit after a transaction of ours, longer than {@link RETRY_MS}. */
const YIELD_MS = 3;
/** How long writes are tried before their callers hear that the database is locked; a large batch takes a tenth of it. */
const MAX_LOCKED_MS = 10_000;

interface Write {
  /** Does it, a second time if need be. @returns what tells its caller, once it is safe */
  readonly perform: () => () => void;
  readonly reject: (error: unknown) => void;
}

/** The only way to change a database. */
export class GroupCommit {
  readonly #connection: Connection;
  readonly #neighbours: Neighbours;
  readonly #logger: Logger;
  #queue: Write[] = [];
  #scheduled = false;
  #timer: NodeJS.Timeout | undefined;
  /** Since when the database has been found locked, by the monotonic clock. */
  #lockedSince: number | undefined;
  #turn = 0;
  /** The next transaction has savepoints. */
  #careful = false;

  constructor(connection: Connection, neighbours: Neighbours, logger: Logger) {
    this.#connection = connection;
    this.#neighbours = neighbours;
    this.#logger = logger;
    neighbours.onChange(() => this.#hurry());
  }

  /** The number of the transaction that is open; what was read in one still holds in the same one. */
  get turn(): number {
    return this.#turn;
  }

  /**
   * Runs `operation` in a transaction soon, together with others, in the order in which they were asked for.
   *
   * @param operation - synchronous; what it throws is thrown to the caller, and nothing of it stays. It may be run
   *   again if it was taken back for another's sake, so it must leave nothing behind but what it writes
   * @returns what it returns, once that is on disk
   */
  write<T>(operation: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const perform = (): (() => void) => {
        const value = operation();
        return () => resolve(value);
      };
      this.#queue.push({ perform, reject });
      this.#schedule();
    });
  }

  /** Runs at once all that was asked for, waiting for other processes where it has to, and plans nothing further. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#queue.length > 0) this.#commitNext("wait");
  }

  #schedule(): void {
    if (this.#scheduled || this.#queue.length === 0) return;
    this.#scheduled = true;
    const pauseMs = this.#pauseMs();
    if (pauseMs === 0) setImmediate(() => this.#take());
    else this.#timer = setTimeout(() => this.#take(), pauseMs);
  }

  /** Somebody else has committed: the pause is over. */
  #hurry(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#take();
  }

  #take(): void {
    this.#timer = undefined;
    this.#scheduled = false;
    this.#commitNext("try");
    this.#schedule();
  }

  #pauseMs(): number {
    if (this.#lockedSince !== undefined) return RETRY_MS;
    return this.#neighbours.active ? YIELD_MS : 0;
  }

  /** @returns false if another process writes, and there is time to try again */
  #begin(mode: "try" | "wait"): boolean {
    try {
      if (mode === "wait") this.#connection.run("BEGIN IMMEDIATE");
      else this.#connection.beginOrThrow();
      this.#lockedSince = undefined;
      return true;
    } catch (error) {
      if (!hasCode(error, "E_STORE_LOCKED") || mode === "wait") throw error;
      this.#neighbours.seen();
      this.#lockedSince ??= performance.now();
      if (performance.now() - this.#lockedSince < MAX_LOCKED_MS) return false;
      this.#lockedSince = undefined;
      throw new StoreLockedError(`another process has held the database for ${MAX_LOCKED_MS} ms`, {
        cause: error,
      });
    }
  }

  /** One transaction. Never throws: whatever happens is told to those whom it concerns. */
  #commitNext(mode: "try" | "wait"): void {
    const batch = this.#queue.splice(0, MAX_BATCH);
    if (batch.length === 0) return;
    const tried: Write[] = [];
    const answers: (() => void)[] = [];
    const connection = this.#connection;
    const writesBefore = connection.writes;
    let begun = false;
    try {
      if (!this.#begin(mode)) {
        this.#queue.unshift(...batch);
        return;
      }
      begun = true;
      this.#turn += 1;
      connection.counts.reset();
      if (!this.#perform(batch, tried, answers)) {
        connection.run("ROLLBACK");
        this.#queue.unshift(...batch);
        this.#careful = true;
        this.#commitNext(mode);
        return;
      }
      this.#careful = false;
      connection.counts.flush(connection);
      connection.run("COMMIT");
    } catch (error) {
      this.#careful = false;
      this.#undo(error);
      // Without a transaction none had its turn, but asking again for each would only repeat the wait.
      const failed = begun ? tried : batch;
      this.#queue.unshift(...batch.slice(failed.length));
      for (const write of failed) write.reject(error);
      return;
    }
    if (connection.writes !== writesBefore) this.#neighbours.ring();
    this.#queue.unshift(...batch.slice(tried.length));
    for (const answer of answers) answer();
  }

  /** @returns false if the transaction must be taken back and done again */
  #perform(batch: readonly Write[], tried: Write[], answers: (() => void)[]): boolean {
    const startedAtMs = performance.now();
    for (const write of batch) {
      tried.push(write);
      const answer = this.#careful ? this.#guarded(write) : this.#one(write);
      if (!answer) return false;
      answers.push(answer);
      if (performance.now() - startedAtMs > MAX_BATCH_MS) break;
    }
    return true;
  }

  /** One write. @returns its answer; undefined if it failed half done @throws only if the whole transaction is lost */
  #one(write: Write): (() => void) | undefined {
    const writesBefore = this.#connection.writes;
    try {
      return write.perform();
    } catch (error) {
      // A full disk may end the transaction, and with it what others in it did.
      if (!this.#connection.inTransaction) throw error;
      return this.#connection.writes === writesBefore ? () => write.reject(error) : undefined;
    }
  }

  /** One write that can be taken back alone. @returns its answer @throws only if the whole transaction is lost */
  #guarded(write: Write): () => void {
    const counts = this.#connection.counts.mark();
    this.#connection.run("SAVEPOINT one_write");
    try {
      const answer = write.perform();
      this.#connection.run("RELEASE one_write");
      return answer;
    } catch (error) {
      if (!this.#connection.inTransaction) throw error;
      this.#connection.counts.reset(counts);
      this.#connection.run("ROLLBACK TO one_write");
      this.#connection.run("RELEASE one_write");
      return () => write.reject(error);
    }
  }

  #undo(error: unknown): void {
    this.#logger.error({ err: error, path: this.#connection.path }, "a transaction failed and was undone");
    try {
      if (this.#connection.inTransaction) this.#connection.run("ROLLBACK");
    } catch (again) {
      this.#logger.error({ err: again }, "the failed transaction could not be undone");
    }
  }
}
