/**
 * Statements and transactions on a pool of connections, over restarts of the server and losses of connections.
 *
 * Every transaction that changes something writes a row with an id of its own into the table `commits`. If the
 * connection is lost while it commits, nobody knows whether it did: then the id is inserted once more from another
 * connection. The unique index makes that wait for the lost transaction's end; if it committed, the row is there, and if
 * not, our row is, and keeps a straggler from ever committing. So whatever was asked is done exactly once.
 * PostgreSQL's own `pg_xact_status` was rejected: after a crash the server may give the number of a transaction that it
 * has forgotten to another one.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as pauseFor } from "node:timers/promises";
import type { Pool, PoolClient } from "pg";
import { errorFacts, StoreCorruptError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { DAMAGE_HINT, type Row } from "../rows.ts";
import type { Driver } from "./driver.ts";
import { isCollision, isConnectionLoss, storeError, unavailable } from "./failure.ts";
import { encodedValue } from "./text.ts";

/** How long something is tried again when the server is away: longer than a restart takes. */
const GIVE_UP_MS = 15_000;
const FIRST_PAUSE_MS = 20;
const MAX_PAUSE_MS = 1000;

/** How long taking leave of the server may take; one that does not answer is left without. */
export const MAX_GOODBYE_MS = 2000;

/** One statement, with values for `$1`, `$2`, …. */
export interface Statement {
  readonly text: string;
  readonly values?: readonly unknown[] | undefined;
}

/** What a transaction may do before its last writes. */
export interface Transaction {
  /** Runs statements in one round trip. @returns the rows of each */
  run(...statements: readonly Statement[]): Promise<readonly Row[][]>;
}

/** How a transaction ends. */
export interface Ending<T> {
  /** Sent together with the commit. */
  readonly writes: readonly Statement[];
  /** The answer, once that is committed. */
  readonly value: T;
}

const BEGIN: Statement = { text: "BEGIN" };
const COMMIT: Statement = { text: "COMMIT" };
const ROLLBACK: Statement = { text: "ROLLBACK" };
const SIGN = "INSERT INTO commits (id) VALUES ($1)";
const ASK = "INSERT INTO commits (id) VALUES ($1) ON CONFLICT (id) DO NOTHING RETURNING id";

/** The outcome of a commit could not be found out in time. */
class UnknownOutcome extends Error {
  override readonly name = "UnknownOutcome";
}

/** One database, for one set of stores. */
export class Database {
  /** For messages; without secrets. */
  readonly shown: string;
  readonly #pool: Pool;
  readonly #logger: Logger;
  readonly #onOutage: () => void;
  readonly #closing = new AbortController();
  /** Every statement in use is a constant of a module, so this does not grow. */
  readonly #names = new Map<string, string>();
  #away = false;

  /** @param onOutage - called when connections are lost that were there */
  constructor(driver: Driver, logger: Logger, onOutage: () => void) {
    this.shown = driver.address.shown;
    this.#logger = logger;
    this.#onOutage = onOutage;
    this.#pool = driver.pool();
    this.#pool.on("connect", (client) => client.on("error", (error) => this.#lost(error)));
    this.#pool.on("error", (error) => this.#lost(error));
  }

  /** Runs a statement that may be run again: one that reads, or that does nothing the second time. */
  async query(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    return this.#persist(() => this.#with((client) => this.#one(client, { text, values })));
  }

  /**
   * Runs a transaction.
   *
   * @param work - may be run again from its beginning, so it must leave nothing behind but what it writes
   * @returns the value of its ending, once that is safe
   */
  async transact<T>(work: (tx: Transaction) => Promise<Ending<T>>): Promise<T> {
    return this.#persist(async () => {
      const id = randomUUID();
      let done: { readonly value: T } | undefined;
      try {
        await this.#with(async (client) => {
          const { writes, value } = await this.#begun(client, work);
          done = { value };
          const signature = writes.length === 0 ? [] : [{ text: SIGN, values: [id] }];
          await this.#all(client, [...writes, ...signature, COMMIT]);
        });
      } catch (error) {
        // Before its last writes were sent nothing can have been committed.
        if (!done || !isConnectionLoss(error) || !(await this.#committed(id, error))) throw error;
      }
      if (!done) throw new Error("a transaction ended without a value");
      return done.value;
    });
  }

  /**
   * Runs one statement that changes something and signs with the id that it is given, as a transaction of its own.
   *
   * @param read - finds out what the statement would have returned, if its answer was lost
   */
  async commitOne(
    statement: (id: string) => Statement,
    read: (id: string) => Promise<readonly Row[]>,
  ): Promise<readonly Row[]> {
    return this.#persist(async () => {
      const id = randomUUID();
      try {
        return await this.#with((client) => this.#one(client, statement(id)));
      } catch (error) {
        if (!isConnectionLoss(error) || !(await this.#committed(id, error))) throw error;
        return read(id);
      }
    });
  }

  /** Ends what waits for the server, and the connections when they are free. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.race([this.#pool.end(), pauseFor(MAX_GOODBYE_MS, undefined, { ref: false })]);
  }

  async #begun<T>(client: PoolClient, work: (tx: Transaction) => Promise<Ending<T>>): Promise<Ending<T>> {
    let begun = false;
    const run = async (...statements: readonly Statement[]): Promise<Row[][]> => {
      const first = begun ? [] : [BEGIN];
      begun = true;
      return (await this.#all(client, [...first, ...statements])).slice(first.length);
    };
    const ending = await work({ run });
    return begun ? ending : { ...ending, writes: [BEGIN, ...ending.writes] };
  }

  async #with<T>(use: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    this.#here();
    try {
      const value = await use(client);
      client.release();
      return value;
    } catch (error) {
      await this.#giveBack(client, error);
      throw error;
    }
  }

  /** A connection on which something failed; it is kept only if it is certain to be in no transaction. */
  async #giveBack(client: PoolClient, error: unknown): Promise<void> {
    if (isConnectionLoss(error)) {
      client.release(true);
      return;
    }
    try {
      await client.query(ROLLBACK.text);
      client.release();
    } catch (again) {
      this.#logger.debug(errorFacts(again), "a connection could not be used any more");
      client.release(true);
    }
  }

  async #one(client: PoolClient, { text, values = [] }: Statement): Promise<Row[]> {
    const { rows } = await client.query<Row>({
      name: this.#nameOf(text),
      text,
      values: values.map(encodedValue),
    });
    return rows;
  }

  /** In one round trip. All have ended when this does; the first failure is thrown, the others follow from it. */
  async #all(client: PoolClient, statements: readonly Statement[]): Promise<Row[][]> {
    const results = await Promise.allSettled(statements.map((statement) => this.#one(client, statement)));
    return results.map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value;
    });
  }

  /** Whether the transaction that signed with `id` was committed. @throws UnknownOutcome if nobody can say in time */
  async #committed(id: string, cause: unknown): Promise<boolean> {
    this.#lost(cause);
    try {
      const rows = await this.#persist(() =>
        this.#with((client) => this.#one(client, { text: ASK, values: [id] })),
      );
      return rows.length === 0;
    } catch (error) {
      throw new UnknownOutcome("the outcome of a commit is not known", { cause: error });
    }
  }

  async #persist<T>(attempt: () => Promise<T>): Promise<T> {
    const untilMs = performance.now() + GIVE_UP_MS;
    for (let failures = 0; ; failures++) {
      try {
        return await attempt();
      } catch (error) {
        if (error instanceof UnknownOutcome) throw unavailable(error.cause, this.shown, true);
        const lost = isConnectionLoss(error);
        if (lost) this.#lost(error);
        const again = (lost || isCollision(error)) && performance.now() < untilMs;
        if (!again || this.#closing.signal.aborted) throw storeError(error, this.shown);
      }
      const longest = Math.min(FIRST_PAUSE_MS * 2 ** failures, MAX_PAUSE_MS);
      // Not all nodes at once, when a server comes back.
      await pauseFor(longest * (0.5 + Math.random() / 2), undefined, { ref: true });
    }
  }

  #nameOf(text: string): string {
    let name = this.#names.get(text);
    if (name === undefined) {
      name = `mcpp${this.#names.size}`;
      this.#names.set(text, name);
    }
    return name;
  }

  #lost(error: unknown): void {
    if (this.#away || this.#closing.signal.aborted) return;
    this.#away = true;
    this.#logger.warn(
      errorFacts(storeError(error, this.shown)),
      "the connection to the database was lost; trying again",
    );
    this.#onOutage();
  }

  #here(): void {
    if (!this.#away) return;
    this.#away = false;
    this.#logger.info({ database: this.shown }, "the database answers again");
  }
}

/** The only row of a statement that gives exactly one. */
export function onlyRow(rows: readonly Row[] | undefined): Row {
  const [row] = rows ?? [];
  if (!row) throw new StoreCorruptError("a row is missing in the database", { hint: DAMAGE_HINT });
  return row;
}
