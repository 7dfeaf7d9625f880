/**
 * PostgreSQL's failures, and those of the way to it, as errors of ours.
 *
 * The codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
import {
  InvalidInputError,
  McpError,
  StoreAccessError,
  StoreCorruptError,
  StoreFailedError,
  StoreFullError,
  StoreReadOnlyError,
  StoreTimeoutError,
  StoreUnavailableError,
} from "../../errors.ts";

/** What `pg` says of a connection that has gone; none of it has a code. */
const GONE =
  /connection (terminated|ended|error)|not queryable|timeout exceeded when trying to connect|read timeout|timeout expired/i;
const SOCKET_CODES: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENOENT",
  "ECONNABORTED",
  "ERR_STREAM_DESTROYED",
  "ERR_STREAM_WRITE_AFTER_END",
]);
/** Of the server's codes those that say: not now, or: this connection is over. Class 08 is that of connections. */
const PASSING: ReadonlySet<string> = new Set(["57P01", "57P02", "57P03", "57P05", "53300", "25P03", "25P04"]);
/** Serialization failure and deadlock: the transaction was taken back and may be done again. */
const COLLISIONS: ReadonlySet<string> = new Set(["40001", "40P01"]);
const UNIQUE_VIOLATION = "23505";

/** The code that the server, the operating system or TLS gave an error; empty if there is none. */
function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** Whether the connection has gone, or there was none: whatever was asked last may or may not have been done. */
export function isConnectionLoss(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof McpError) return false;
  const code = codeOf(error);
  if (SOCKET_CODES.has(code) || PASSING.has(code) || code.startsWith("08")) return true;
  return code === "" && GONE.test(error.message);
}

/** Whether another transaction got in the way, so that the same may be tried again. */
export function isCollision(error: unknown): boolean {
  return COLLISIONS.has(codeOf(error));
}

/** Whether a row with the same key is there already. */
export function isDuplicate(error: unknown): boolean {
  return codeOf(error) === UNIQUE_VIOLATION;
}

/** `error` as an error of ours, with the original as its cause; what did not come from the database stays as it is. */
export function storeError(error: unknown, shown: string): unknown {
  if (error instanceof McpError || !(error instanceof Error)) return error;
  if (isConnectionLoss(error)) return unavailable(error, shown);
  const code = codeOf(error);
  return fromServer(code, error, shown) ?? fromTls(code, error, shown) ?? error;
}

/** The server cannot be reached. @param unknown - the last change may have been stored all the same */
export function unavailable(cause: unknown, shown: string, unknown: boolean = false): StoreUnavailableError {
  const why = cause instanceof Error ? cause.message || codeOf(cause) : String(cause);
  const rest = unknown ? "; whether the last change was stored is not known" : "";
  return new StoreUnavailableError(`the database server at ${shown} cannot be reached: ${why}${rest}`, {
    cause,
    hint: "see whether the server runs and lets this machine connect",
  });
}

function fromServer(code: string, cause: Error, shown: string): McpError | undefined {
  const at = `the database at ${shown}`;
  switch (code) {
    case "28P01":
    case "28000":
      return new StoreAccessError(`the server of ${at} refuses the user: ${cause.message}`, {
        cause,
        hint: "see the user and the password in --store, MCPP_STORE, PGUSER, PGPASSWORD or the password file",
      });
    case "3D000":
      return new StoreAccessError(`${at} does not exist: ${cause.message}`, {
        cause,
        hint: "createdb --encoding=UTF8 <name>",
      });
    case "42501":
      return new StoreAccessError(`${at} refuses this user something: ${cause.message}`, {
        cause,
        hint: "GRANT CREATE ON DATABASE <name> TO <user>, or make the schema and give it to the user",
      });
    case "57014":
    case "55P03":
      return new StoreTimeoutError(`${at} was too slow: ${cause.message}`, {
        cause,
        hint: "see what keeps the server busy (pg_stat_activity), or raise statement_timeout in --store",
      });
    case "25006":
      return new StoreReadOnlyError(`${at} cannot be written: ${cause.message}`, {
        cause,
        hint: "name the primary server, not a standby",
      });
    case "53100":
      return new StoreFullError(`the server of ${at} has no room left`, {
        cause,
        hint: "free disk space there",
      });
    case "54000":
      return new InvalidInputError(`a name is too long for ${at}: ${cause.message}`, { cause });
    case "XX001":
    case "XX002":
      return new StoreCorruptError(`${at} is damaged: ${cause.message}`, { cause, hint: "restore a backup" });
    case "53200":
    case "53400":
    case "58030":
      return new StoreFailedError(`the server of ${at} failed: ${cause.message}`, { cause });
    default:
      return undefined;
  }
}

function fromTls(code: string, cause: Error, shown: string): McpError | undefined {
  const tls = /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|ERR_OSSL)/.test(code);
  const refused = /does not support SSL|SASL|SCRAM|password must be a string/i.test(cause.message);
  if (!tls && !refused) return undefined;
  return new StoreAccessError(`the connection to the database at ${shown} is refused: ${cause.message}`, {
    cause,
    hint: "see sslmode, sslrootcert and the password in --store",
  });
}
