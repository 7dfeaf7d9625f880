/**
 * Notices what other processes change in the same database.
 *
 * Every process writes a byte to a file beside the database, the bell, after each of its commits. The operating system
 * tells that to all who watch the folder, and SQLite's `data_version` tells them whether it was themselves. To watch the
 * write-ahead log was rejected: it is written before the commit can be seen. Nothing is polled; where the system cannot
 * watch files, a queue still looks at its store every half minute.
 */
import { closeSync, constants, type FSWatcher, openSync, watch, writeSync } from "node:fs";
import { basename, dirname } from "node:path";
import * as z from "zod";
import type { Logger } from "../../logger.ts";
import type { Connection } from "./connection.ts";
import { parsed } from "../rows.ts";

/** A neighbour that was seen writing within this time is likely to write again: leave it room. */
const ACTIVE_MS = 2000;

/** Not for appending, so that the file stays one byte long. */
const OPEN_BELL: number = constants.O_RDWR | constants.O_CREAT;
const RING = Buffer.from("!");

const versionRow = z.object({ data_version: z.int() });

/** The other processes that have the same database open. */
export class Neighbours {
  readonly #connection: Connection;
  readonly #logger: Logger;
  readonly #listeners = new Set<() => void>();
  readonly #watcher: FSWatcher | undefined;
  /** A file descriptor. */
  readonly #bell: number;
  #version: number;
  #seenAt = Number.NEGATIVE_INFINITY;
  #looking = false;
  #closed = false;

  constructor(connection: Connection, logger: Logger) {
    this.#connection = connection;
    this.#logger = logger;
    this.#version = this.#readVersion();
    this.#bell = openSync(bellOf(connection.path), OPEN_BELL, 0o600);
    this.#watcher = this.#watch();
  }

  /** Whether somebody else has written lately. */
  get active(): boolean {
    return performance.now() - this.#seenAt < ACTIVE_MS;
  }

  /** Calls `listener` soon after others have written. @returns ends that */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells the others that this process has committed something. */
  ring(): void {
    try {
      writeSync(this.#bell, RING, 0, RING.length, 0);
    } catch (error) {
      // What was committed stays committed; the others see it at their next look.
      this.#logger.warn({ err: error }, "other processes could not be told of a commit");
    }
  }

  /** Notes that somebody else holds the lock, which is a sign of life too. */
  seen(): void {
    this.#seenAt = performance.now();
  }

  close(): void {
    this.#closed = true;
    this.#watcher?.close();
    closeSync(this.#bell);
    this.#listeners.clear();
  }

  /** The folder, not the file, which somebody might delete and make anew. */
  #watch(): FSWatcher | undefined {
    const bell = bellOf(this.#connection.path);
    try {
      const watcher = watch(dirname(bell), { persistent: false }, (_, name) => {
        if (name === basename(bell)) this.#look();
      });
      watcher.on("error", (error) => this.#unwatched(error));
      return watcher;
    } catch (error) {
      this.#unwatched(error);
      return undefined;
    }
  }

  #unwatched(error: unknown): void {
    this.#logger.warn(
      { err: error, path: this.#connection.path },
      "the database cannot be watched; changes of other processes are seen later",
    );
  }

  /** Once a turn, however often the bell was rung in it. */
  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    setImmediate(() => {
      this.#looking = false;
      if (this.#closed) return;
      const version = this.#readVersion();
      if (version === this.#version) return;
      this.#version = version;
      this.seen();
      for (const listener of this.#listeners) listener();
    });
  }

  #readVersion(): number {
    return parsed(versionRow, this.#connection.get("PRAGMA data_version")).data_version;
  }
}

function bellOf(path: string): string {
  return `${path}-bell`;
}
