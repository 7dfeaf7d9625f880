/** What an engine must offer to hold a cache. Like TaskStore it is given the time, and every call is atomic. */
import type { CacheHit } from "./cache.ts";
import type { Version } from "./version.ts";

/** Bounds of a cache; the entries that came longest ago beyond them go first. Tombstones have the same bound in number. */
export interface CacheBounds {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** The name and version of an entry or tombstone, without its value. */
export interface CacheMark extends Version {
  readonly key: string;
}

/** What a key holds or held last, as stores hand it to each other. */
export interface CacheRecord extends CacheMark {
  /** Absent for what was deleted or has run out. */
  readonly entry?: { readonly value: unknown; readonly expiresAtMs?: number | undefined } | undefined;
}

/** A part of the log of changes, which has each key once: at its last change. */
export interface ChangePage {
  readonly marks: readonly CacheMark[];
  /** Where the next page begins. */
  readonly next: number;
  /** Whether there is more behind {@link next} by now. */
  readonly more: boolean;
}

/** What became of records from elsewhere. */
export interface MergeOutcome {
  /** Were later than what was here, and are here now. */
  readonly taken: number;
  /** Were not later, or may have been deleted since. */
  readonly stale: number;
  /** Bore a stamp that no honest clock can have given. */
  readonly refused: number;
}

/** How much a cache holds. */
export interface CacheFill {
  /** Entries that hold. */
  readonly entries: number;
  /** Their keys and JSON texts in UTF-8. */
  readonly bytes: number;
  readonly tombstones: number;
}

/** Storage of one cache. */
export interface CacheStore {
  /** A name that no other store has, in versions. A store that began anew has a new one. */
  readonly origin: string;
  get(key: string, nowMs: number): Promise<CacheHit | undefined>;
  /** @returns the stamp of the entry's new version, later than all that this store has seen @throws MessageTooLargeError */
  set(key: string, value: unknown, expiresAtMs: number | undefined, nowMs: number): Promise<number>;
  /** Leaves a tombstone with a version, also where nothing is known: a peer may know more. @returns whether there was an entry that still held */
  delete(key: string, nowMs: number): Promise<boolean>;
  stats(nowMs: number): Promise<CacheFill>;
  /** What changed after `since`, the change longest ago first. 0 begins at the beginning. */
  changes(since: number, limit: number): Promise<ChangePage>;
  /** What the keys hold now. Keys about which nothing is known are left out. */
  records(keys: readonly string[], nowMs: number): Promise<readonly CacheRecord[]>;
  /** The keys of those marks that {@link merge} would take. */
  wanted(marks: readonly CacheMark[], nowMs: number): Promise<readonly string[]>;
  /** Takes those records that are later than what is here. The order and number of times they come in do not matter. */
  merge(records: readonly CacheRecord[], nowMs: number): Promise<MergeOutcome>;
}
