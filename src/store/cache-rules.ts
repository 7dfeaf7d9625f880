/** What a cache takes, the same for every engine. */
import { MAX_VALUE_BYTES } from "../cache/cache.ts";
import type { CacheBounds, CacheRecord } from "../cache/store.ts";
import { isBuried, isCredible, isLater, type Version } from "../cache/version.ts";
import { InvalidInputError, MessageTooLargeError } from "../errors.ts";

/**
 * A value as the JSON text that is kept.
 *
 * @throws InvalidInputError if JSON cannot write it
 * @throws MessageTooLargeError beyond MAX_VALUE_BYTES
 */
export function cacheText(value: unknown): string {
  const text: string | undefined = JSON.stringify(value);
  if (text === undefined) throw new InvalidInputError("a cached value must be JSON");
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_VALUE_BYTES) {
    throw new MessageTooLargeError(`a cached value has ${bytes} bytes; at most ${MAX_VALUE_BYTES} are taken`);
  }
  return text;
}

/**
 * How many bytes an entry counts for: its key and its JSON text in UTF-8.
 *
 * @throws MessageTooLargeError if the entry alone is more than the whole cache may hold
 */
export function entryBytes(key: string, text: string, bounds: CacheBounds): number {
  const bytes = sizeOf(key, text);
  if (bytes > bounds.maxBytes) {
    throw new MessageTooLargeError(`a cache entry has ${bytes} bytes; this cache holds ${bounds.maxBytes}`);
  }
  return bytes;
}

/** An entry as it is kept; without text it is a tombstone. */
export interface Kept {
  readonly text: string | undefined;
  readonly bytes: number;
  readonly expiresAtMs: number | undefined;
}

/** What is kept of a deleted or outrun entry. */
export const TOMBSTONE: Kept = { text: undefined, bytes: 0, expiresAtMs: undefined };

/**
 * What is kept of a record from elsewhere. Of an entry that has run out, or that alone is more than the cache may
 * hold, only the version stays, which keeps an older value from being taken for the last.
 *
 * @throws InvalidInputError, MessageTooLargeError for what no store of ours can have sent
 */
export function keptOf({ key, entry }: CacheRecord, bounds: CacheBounds, nowMs: number): Kept {
  if (!entry || (entry.expiresAtMs !== undefined && entry.expiresAtMs <= nowMs)) return TOMBSTONE;
  const text = cacheText(entry.value);
  const bytes = sizeOf(key, text);
  return bytes > bounds.maxBytes ? TOMBSTONE : { text, bytes, expiresAtMs: entry.expiresAtMs };
}

/** What to do with a version from elsewhere. */
export type Verdict = "taken" | "stale" | "refused";

/**
 * @param mine - the version here; absent if nothing is known of the key
 * @param floor - the highest stamp among forgotten tombstones
 */
export function judge(theirs: Version, mine: Version | undefined, floor: number, nowMs: number): Verdict {
  if (!isCredible(theirs.stamp, nowMs)) return "refused";
  if (mine) return isLater(theirs, mine) ? "taken" : "stale";
  return isBuried(theirs.stamp, floor, nowMs) ? "stale" : "taken";
}

function sizeOf(key: string, text: string): number {
  return Buffer.byteLength(key) + Buffer.byteLength(text);
}
