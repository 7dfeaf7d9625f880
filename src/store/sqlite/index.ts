/** The engine of a node that keeps its work: one SQLite file, whatever was acknowledged is on disk. */
import type { CacheBounds } from "../../cache/store.ts";
import { type Logger, silentLogger } from "../../logger.ts";
import { DEFAULT_CACHE_BOUNDS, Lifetime, type Stores } from "../stores.ts";
import { SqliteCacheStore } from "./cache.ts";
import { GroupCommit } from "./group-commit.ts";
import { Neighbours } from "./neighbours.ts";
import { openDatabase } from "./open.ts";
import { SqliteOutboxStore } from "./outbox.ts";
import { SqliteTaskStore } from "./tasks.ts";
import { SqliteWorkflowStore } from "./workflows.ts";

/** What the SQLite engine can be told. */
export interface SqliteStoreOptions {
  /** The database file; it is made, with access for its owner only, if it is missing. Its folder must exist. */
  readonly path: string;
  /** Default {@link DEFAULT_CACHE_BOUNDS}. */
  readonly cacheBounds?: CacheBounds | undefined;
  /** The file does not grow beyond this; writes are then refused with StoreFullError. Default: no limit. */
  readonly maxBytes?: number | undefined;
  /** Default: nothing is logged. */
  readonly logger?: Logger | undefined;
}

/**
 * Opens the stores in a file and brings its schema up to date. Checks the file for damage first: see open.ts for
 * what that costs.
 *
 * @throws StoreCorruptError, StoreVersionError, StoreLockedError, StoreReadOnlyError, StoreFullError, StoreFailedError
 */
export async function openSqliteStores(options: SqliteStoreOptions): Promise<Stores> {
  const connection = openDatabase(options);
  const logger = options.logger ?? silentLogger;
  const neighbours = new Neighbours(connection, logger);
  const commits = new GroupCommit(connection, neighbours, logger);
  const lifetime = new Lifetime();
  const close = async (): Promise<void> => {
    if (!lifetime.end()) return;
    commits.close();
    neighbours.close();
    connection.close();
  };
  return {
    engine: "sqlite",
    tasks: new SqliteTaskStore(connection, commits, lifetime, neighbours),
    outbox: new SqliteOutboxStore(connection, commits, lifetime, logger),
    cache: new SqliteCacheStore(connection, commits, lifetime, options.cacheBounds ?? DEFAULT_CACHE_BOUNDS),
    workflows: new SqliteWorkflowStore(connection, commits, lifetime, neighbours),
    close,
    [Symbol.asyncDispose]: close,
  };
}
