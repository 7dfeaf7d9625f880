/** Loads `pg` when the first PostgreSQL store is opened, and makes connections with it. A node on SQLite never loads it. */
import type { Client, ClientConfig, Pool } from "pg";
import type { Address } from "./address.ts";
import { decodedText } from "./text.ts";

/** The type `bigint`; our numbers stay below 2^53. */
const OID_INT8 = 20;
const OID_TEXT = 25;
/** The answer to a statement that the server itself would have stopped should have come by then; later, it never will. */
const ANSWER_GRACE_MS = 2000;
/** A connection that nobody used for this long is closed. */
const IDLE_MS = 30_000;

/**
 * Settings of every connection. The planner is told to use indexes because it plans with what it knows of a table that
 * was empty a second ago, and `jit` because compiling takes longer than any statement of ours.
 */
const SETTINGS = [
  "enable_seqscan=off",
  "enable_bitmapscan=off",
  "jit=off",
  "default_transaction_isolation=read\\ committed",
];

/** Makes connections to one database. */
export interface Driver {
  readonly address: Address;
  /** A connection of its own, not yet connected. */
  client(): Client;
  /** Connections on demand. */
  pool(): Pool;
}

/** @param settings - more settings for each connection, such as `name=value` */
export async function loadDriver(address: Address, settings: readonly string[] = []): Promise<Driver> {
  const { default: pg } = await import("pg");
  const types = new pg.TypeOverrides();
  types.setTypeParser(OID_INT8, Number);
  types.setTypeParser(OID_TEXT, decodedText);
  const all = [`search_path=${address.schema}`, ...SETTINGS, ...settings];
  const config: ClientConfig = {
    host: address.host,
    port: address.port,
    user: address.user,
    password: address.password,
    database: address.database,
    ssl: address.ssl,
    application_name: address.applicationName,
    connectionTimeoutMillis: address.connectTimeoutMs,
    statement_timeout: address.statementTimeoutMs,
    query_timeout: address.statementTimeoutMs + ANSWER_GRACE_MS,
    idle_in_transaction_session_timeout: address.statementTimeoutMs + ANSWER_GRACE_MS,
    keepAlive: true,
    pipeline: true,
    options: all.map((setting) => `-c ${setting}`).join(" "),
    types,
  };
  return {
    address,
    client: () => new pg.Client(config),
    pool: () => new pg.Pool({ ...config, max: address.poolSize, idleTimeoutMillis: IDLE_MS }),
  };
}
