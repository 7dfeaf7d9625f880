/** What an engine must offer to hold a cache. Like TaskStore it is given the time, and every call is atomic. */
import type { CacheHit } from "./cache.ts";

/** Bounds of a cache; the least recently written entries beyond them go first. */
export interface CacheBounds {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** Storage of one cache. */
export interface CacheStore {
  get(key: string, nowMs: number): Promise<CacheHit | undefined>;
  /** @returns the entry's new version: one more than its last, also across a delete @throws MessageTooLargeError */
  set(key: string, value: unknown, expiresAtMs: number | undefined, nowMs: number): Promise<number>;
  /** Leaves a tombstone with a version. @returns whether there was an entry that still held */
  delete(key: string, nowMs: number): Promise<boolean>;
  stats(nowMs: number): Promise<{ readonly entries: number; readonly bytes: number }>;
}
