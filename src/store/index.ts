/** Where a node keeps its tasks, its cache and its undelivered results. */
import type { Logger } from "../logger.ts";
import type { CacheBounds } from "../cache/store.ts";
import { openMemoryStores } from "./memory/index.ts";
import { openSqliteStores } from "./sqlite/index.ts";
import type { Stores } from "./stores.ts";

export { type MemoryStoreOptions, openMemoryStores } from "./memory/index.ts";
export { checkSqliteStore, type StoreFinding, type StoreReport } from "./sqlite/check.ts";
export { openSqliteStores, type SqliteStoreOptions } from "./sqlite/index.ts";
export { DEFAULT_CACHE_BOUNDS, type Stores } from "./stores.ts";

/** The engines by their names in the configuration. */
export type StoreEngine = "sqlite" | "memory";

/** What a node says to whichever engine it was configured for. */
export interface StoreOptions {
  /** The database file, for engines that have one. */
  readonly path: string;
  readonly cacheBounds?: CacheBounds | undefined;
  readonly logger?: Logger | undefined;
}

/** Every engine. A new one is a folder here and a line in this table. */
export const STORE_ENGINES: Readonly<Record<StoreEngine, (options: StoreOptions) => Promise<Stores>>> = {
  sqlite: openSqliteStores,
  memory: async (options) => openMemoryStores(options),
};
