/** The engine of nodes that share one queue over several machines: a PostgreSQL database, version 15 or later. */
import type { Client } from "pg";
import * as z from "zod";
import type { CacheBounds } from "../../cache/store.ts";
import { StoreFailedError, StoreReadOnlyError, StoreVersionError } from "../../errors.ts";
import { type Logger, silentLogger } from "../../logger.ts";
import { parsed } from "../rows.ts";
import { DEFAULT_CACHE_BOUNDS, Lifetime, type Stores } from "../stores.ts";
import { type Address, parseAddress } from "./address.ts";
import { Bell } from "./bell.ts";
import { PostgresCacheStore } from "./cache.ts";
import { NODE, nodeRow } from "./cache-writes.ts";
import { Database, onlyRow } from "./database.ts";
import { loadDriver } from "./driver.ts";
import { storeError } from "./failure.ts";
import { migrate } from "./migrations.ts";
import { PostgresOutboxStore } from "./outbox.ts";
import { PostgresTaskStore } from "./tasks.ts";
import { PostgresWorkflowStore } from "./workflows.ts";

/** The first version that the statements were written for. */
const MIN_SERVER_VERSION = 15;
/** The server tells versions as a number: 150004 is 15.4. */
const VERSION_UNIT = 10_000;

/** What the PostgreSQL engine can be told. */
export interface PostgresStoreOptions {
  /** `postgres://user@host:port/database?parameters`; see address.ts. It may have a password: it is shown nowhere. */
  readonly url: string;
  /** Whose results wait for their delivery in the outbox; each node needs its own. Default: nobody's in particular. */
  readonly owner?: string | undefined;
  /** Default {@link DEFAULT_CACHE_BOUNDS}. */
  readonly cacheBounds?: CacheBounds | undefined;
  /** Default: nothing is logged. */
  readonly logger?: Logger | undefined;
}

/**
 * Opens the stores in a database and brings its schema up to date.
 *
 * @throws InvalidInputError for a URL that is none, StoreUnavailableError, StoreAccessError, StoreVersionError,
 *   StoreReadOnlyError, StoreFailedError
 */
export async function openPostgresStores(options: PostgresStoreOptions): Promise<Stores> {
  const address = parseAddress(options.url);
  const logger = options.logger ?? silentLogger;
  const first = (await loadDriver(address)).client();
  // A connection that breaks tells that besides failing what is asked on it.
  first.on("error", () => undefined);
  let settings: readonly string[];
  try {
    await first.connect();
    settings = await examine(first, address, logger);
    await migrate(first, address);
  } catch (error) {
    throw storeError(error, address.shown);
  } finally {
    await first.end().catch(() => undefined);
  }
  return openStores(address, settings, options, logger);
}

async function openStores(
  address: Address,
  settings: readonly string[],
  { owner = "", cacheBounds: bounds = DEFAULT_CACHE_BOUNDS }: PostgresStoreOptions,
  logger: Logger,
): Promise<Stores> {
  const driver = await loadDriver(address, settings);
  const lifetime = new Lifetime();
  const bell = new Bell(driver, logger);
  const database = new Database(driver, logger, () => tasks.wasAway());
  const tasks = new PostgresTaskStore({ database, bell, lifetime, logger });
  try {
    await bell.open();
    const { origin } = parsed(nodeRow, onlyRow(await database.query(NODE)));
    const cache = new PostgresCacheStore({ database, lifetime, bounds, origin });
    const close = async (): Promise<void> => {
      if (!lifetime.end()) return;
      await Promise.all([tasks.idle(), cache.idle()]);
      await bell.close();
      await database.close();
    };
    const outbox = new PostgresOutboxStore({ database, lifetime, logger, owner });
    const workflows = new PostgresWorkflowStore({ database, bell, lifetime });
    return { engine: "postgres", tasks, outbox, cache, workflows, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await bell.close();
    await database.close();
    throw storeError(error, address.shown);
  }
}

const serverRow = z.object({
  version: z.int(),
  encoding: z.string(),
  standby: z.boolean(),
  durable: z.string(),
  fsync: z.string(),
});

const EXAMINE = `
  SELECT current_setting('server_version_num')::integer AS version, current_setting('server_encoding') AS encoding,
         pg_is_in_recovery() AS standby, current_setting('synchronous_commit') AS durable,
         current_setting('fsync') AS fsync`;

/** Whether the server will do. @returns the settings that connections need */
async function examine(client: Client, { shown }: Address, logger: Logger): Promise<readonly string[]> {
  const { rows } = await client.query<Record<string, unknown>>(EXAMINE);
  const { version, encoding, standby, durable, fsync } = parsed(serverRow, rows[0]);
  if (version < MIN_SERVER_VERSION * VERSION_UNIT) {
    const found = Math.floor(version / VERSION_UNIT);
    throw new StoreVersionError(
      `the database server at ${shown} is PostgreSQL ${found}; ${MIN_SERVER_VERSION} or later is needed`,
      { hint: "upgrade the server, or name another one" },
    );
  }
  if (encoding !== "UTF8") {
    throw new StoreFailedError(`the database at ${shown} has the encoding ${encoding}; UTF8 is needed`, {
      hint: "createdb --encoding=UTF8 --template=template0 <name>",
    });
  }
  if (standby) {
    throw new StoreReadOnlyError(`the database server at ${shown} is a standby, which cannot be written`, {
      hint: "name the primary server",
    });
  }
  if (fsync === "off") {
    logger.warn(
      { database: shown },
      "the server has fsync off: a power cut may lose or damage what was acknowledged",
    );
  }
  // What is acknowledged must be on disk; whoever set more than that keeps it.
  return durable === "off" ? ["synchronous_commit=on"] : [];
}
