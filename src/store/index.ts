/** Where a node keeps its tasks, its cache and its undelivered results. */
import type { Logger } from "../logger.ts";
import type { CacheBounds } from "../cache/store.ts";
import { ConfigError } from "../errors.ts";
import { openMemoryStores } from "./memory/index.ts";
import { openSqliteStores } from "./sqlite/index.ts";
import type { CopyOptions, CopyReport } from "./postgres/copy.ts";
import type { PostgresStoreOptions } from "./postgres/index.ts";
import type { StoreReport } from "./report.ts";
import type { Stores } from "./stores.ts";

export { Heap } from "./heap.ts";
export { type MemoryStoreOptions, openMemoryStores } from "./memory/index.ts";
export type { StoreFinding, StoreReport } from "./report.ts";
export { backUpSqlite } from "./sqlite/backup.ts";
export { checkSqliteStore } from "./sqlite/check.ts";
export type { CopyOptions, CopyReport } from "./postgres/copy.ts";
export type { PostgresStoreOptions } from "./postgres/index.ts";
export { openSqliteStores, type SqliteStoreOptions } from "./sqlite/index.ts";
export { DEFAULT_CACHE_BOUNDS, type Stores } from "./stores.ts";

/** The engines by their names in the configuration. */
export type StoreEngine = "sqlite" | "memory" | "postgres";

/** What a node says to whichever engine it was configured for. */
export interface StoreOptions {
  /** The database file, for engines that have one. */
  readonly path: string;
  /** The database's URL, for engines that a server has. Secret: it may have a password. */
  readonly url?: string | undefined;
  /** Names the node, for engines that several nodes share; asked for only by those. */
  readonly owner?: (() => Promise<string>) | undefined;
  readonly cacheBounds?: CacheBounds | undefined;
  readonly logger?: Logger | undefined;
}

/** Every engine. A new one is a folder here and a line in this table. */
export const STORE_ENGINES: Readonly<Record<StoreEngine, (options: StoreOptions) => Promise<Stores>>> = {
  sqlite: openSqliteStores,
  memory: async (options) => openMemoryStores(options),
  postgres: async ({ url, owner, cacheBounds, logger }) => {
    if (url === undefined) throw new ConfigError("store", undefined, "must be the URL of the database");
    return openPostgresStores({ url, owner: await owner?.(), cacheBounds, logger });
  },
};

/**
 * Opens the stores in a PostgreSQL database; see postgres/index.ts. Its driver is loaded only now.
 *
 * @throws InvalidInputError, StoreUnavailableError, StoreAccessError, StoreVersionError, StoreReadOnlyError, StoreFailedError
 */
export async function openPostgresStores(options: PostgresStoreOptions): Promise<Stores> {
  const engine = await import("./postgres/index.ts");
  return engine.openPostgresStores(options);
}

/**
 * Looks for damage in a PostgreSQL database; see postgres/check.ts.
 *
 * @throws StoreFailedError if there are no tables of ours, StoreVersionError, and the errors of connecting
 */
export async function checkPostgresStore(url: string): Promise<StoreReport> {
  const engine = await import("./postgres/check.ts");
  return engine.checkPostgresStore(url);
}

/**
 * Copies a SQLite file into an empty PostgreSQL database; see postgres/copy.ts.
 *
 * @throws InvalidInputError if the database is not empty, StoreCorruptError, and the errors of opening both
 */
export async function copySqliteToPostgres(options: CopyOptions): Promise<CopyReport> {
  const engine = await import("./postgres/copy.ts");
  return engine.copySqliteToPostgres(options);
}
