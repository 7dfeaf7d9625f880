/**
 * Many writes, one fsync.
 *
 * Writes that are asked for in one turn of the event loop run in one transaction when it ends. Each runs in a
 * savepoint, so one that fails takes only itself back. Nobody hears of a success before the commit; if the commit
 * fails, everybody hears that, also those that were refused: what refused them may never have happened.
 *
 * It stays in this thread: a worker thread costs about a millisecond a turn when there is little to do.
 */
import type { Logger } from "../../logger.ts";
import type { Connection } from "./connection.ts";

/** More writes than this in one transaction gain nothing, as the fsync is spread thin already. */
const MAX_BATCH = 1024;
/** A transaction takes no further write after this long, so that others get the event loop. */
const MAX_BATCH_MS = 10;

interface Write {
  /** Does it. @returns what tells its caller, once it is safe */
  readonly perform: () => () => void;
  readonly reject: (error: unknown) => void;
}

/** The only way to change a database. */
export class GroupCommit {
  readonly #connection: Connection;
  readonly #logger: Logger;
  #queue: Write[] = [];
  #scheduled = false;

  constructor(connection: Connection, logger: Logger) {
    this.#connection = connection;
    this.#logger = logger;
  }

  /**
   * Runs `operation` in a transaction soon, together with others, in the order in which they were asked for.
   *
   * @param operation - synchronous; what it throws is thrown to the caller, and nothing of it stays
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

  /** Runs at once all that was asked for. */
  flush(): void {
    while (this.#queue.length > 0) this.#commitNext();
  }

  #schedule(): void {
    if (this.#scheduled || this.#queue.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#commitNext();
      this.#schedule();
    });
  }

  /** One transaction. Never throws: whatever happens is told to those whom it concerns. */
  #commitNext(): void {
    const batch = this.#queue.splice(0, MAX_BATCH);
    if (batch.length === 0) return;
    const tried: Write[] = [];
    const answers: (() => void)[] = [];
    let begun = false;
    try {
      this.#connection.run("BEGIN IMMEDIATE");
      begun = true;
      this.#perform(batch, tried, answers);
      this.#connection.run("COMMIT");
    } catch (error) {
      this.#undo(error);
      // Without a transaction none had its turn, but asking again for each would only repeat the wait.
      const failed = begun ? tried : batch;
      this.#queue.unshift(...batch.slice(failed.length));
      for (const write of failed) write.reject(error);
      return;
    }
    this.#queue.unshift(...batch.slice(tried.length));
    for (const answer of answers) answer();
  }

  #perform(batch: readonly Write[], tried: Write[], answers: (() => void)[]): void {
    const startedAtMs = performance.now();
    for (const write of batch) {
      tried.push(write);
      answers.push(this.#one(write));
      if (performance.now() - startedAtMs > MAX_BATCH_MS) return;
    }
  }

  /** One write. @returns its answer @throws only if the whole transaction is lost */
  #one(write: Write): () => void {
    this.#connection.run("SAVEPOINT one_write");
    try {
      const answer = write.perform();
      this.#connection.run("RELEASE one_write");
      return answer;
    } catch (error) {
      // A full disk may end the transaction, and with it what others in it did.
      if (!this.#connection.inTransaction) throw error;
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
