/** What a cache takes, the same for every engine. */
import { MAX_VALUE_BYTES } from "../cache/cache.ts";
import type { CacheBounds } from "../cache/store.ts";
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
  const bytes = Buffer.byteLength(key) + Buffer.byteLength(text);
  if (bytes > bounds.maxBytes) {
    throw new MessageTooLargeError(`a cache entry has ${bytes} bytes; this cache holds ${bounds.maxBytes}`);
  }
  return bytes;
}
