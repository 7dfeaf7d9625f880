/** What can go wrong with a database. */
import { McpError } from "./mcp-error.ts";

/** The database file is damaged, or is no database of ours. */
export class StoreCorruptError extends McpError {
  override readonly name = "StoreCorruptError";
  readonly code = "E_STORE_CORRUPT";
  readonly failureClass = "internal";
}

/** Another process holds the database, or the whole data folder. */
export class StoreLockedError extends McpError {
  override readonly name = "StoreLockedError";
  readonly code = "E_STORE_LOCKED";
  readonly failureClass = "busy";
}

/** The database cannot be written: the file or the folder is read-only. */
export class StoreReadOnlyError extends McpError {
  override readonly name = "StoreReadOnlyError";
  readonly code = "E_STORE_READ_ONLY";
  readonly failureClass = "internal";
}

/** The disk is full. What was acknowledged before is safe; this was not stored. */
export class StoreFullError extends McpError {
  override readonly name = "StoreFullError";
  readonly code = "E_STORE_FULL";
  readonly failureClass = "unavailable";
}

/** The disk or the file system failed under the database. What was acknowledged before is safe; this may be lost. */
export class StoreFailedError extends McpError {
  override readonly name = "StoreFailedError";
  readonly code = "E_STORE_FAILED";
  readonly failureClass = "unavailable";
}

/** The database was written by a newer version of mcplusplus. */
export class StoreVersionError extends McpError {
  override readonly name = "StoreVersionError";
  readonly code = "E_STORE_VERSION";
  readonly failureClass = "conflict";
}

/** The store was closed before this was asked of it. */
export class StoreClosedError extends McpError {
  override readonly name = "StoreClosedError";
  readonly code = "E_STORE_CLOSED";
  readonly failureClass = "unavailable";
}
