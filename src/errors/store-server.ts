/** What can go wrong with a database that is a server's. */
import { McpError } from "./mcp-error.ts";

/** The database server cannot be reached. What was acknowledged before is safe; this was not stored, unless the message says otherwise. */
export class StoreUnavailableError extends McpError {
  override readonly name = "StoreUnavailableError";
  readonly code = "E_STORE_UNAVAILABLE";
  readonly failureClass = "unavailable";
}

/** The database server refuses: the user, the password, the certificate, the database, or a right. */
export class StoreAccessError extends McpError {
  override readonly name = "StoreAccessError";
  readonly code = "E_STORE_ACCESS";
  readonly failureClass = "denied";
}

/** The database server was too slow. What was acknowledged before is safe; this was taken back. */
export class StoreTimeoutError extends McpError {
  override readonly name = "StoreTimeoutError";
  readonly code = "E_STORE_TIMEOUT";
  readonly failureClass = "timeout";
}
