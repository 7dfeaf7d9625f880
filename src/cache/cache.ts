/** The shared cache as everybody sees it, whether it is in this process or on a peer. Best effort: entries may go at any time. */
import type { CallOptions } from "../peer/rpc.ts";

/** A value that was found. A stored null is a hit. */
export interface CacheHit {
  readonly value: unknown;
  /** Grows with every write of the key. */
  readonly version: number;
  /** When it ends, in milliseconds since 1970; absent means never by time. */
  readonly expiresAtMs?: number | undefined;
}

/** Keys are free text of at most this many characters. */
export const MAX_KEY_CHARS = 1024;
/** A value must fit into one frame with room for its envelope. */
export const MAX_VALUE_BYTES: number = 16 * 1024 * 1024 - 64 * 1024;

/** A key-value cache. */
export interface SharedCache {
  /** @returns the entry, or undefined if there is none that still holds */
  get(key: string, options?: CallOptions): Promise<CacheHit | undefined>;
  has(key: string, options?: CallOptions): Promise<boolean>;
  /** @param ttlMs - how long it holds; absent means until it is evicted @returns the new version */
  set(key: string, value: unknown, ttlMs?: number, options?: CallOptions): Promise<number>;
  /** @returns whether there was an entry */
  delete(key: string, options?: CallOptions): Promise<boolean>;
}
