/** The shared cache of this node: the rules that are not about storage. */
import * as z from "zod";
import type { Clock } from "../clock.ts";
import { jsonBytes } from "../content/json.ts";
import { parseInput } from "../content/parse.ts";
import { CancelledError, InvalidInputError, MessageTooLargeError } from "../errors.ts";
import type { CallOptions } from "../peer/rpc.ts";
import { MAX_KEY_CHARS, MAX_VALUE_BYTES, type SharedCache } from "./cache.ts";
import type { CacheStore } from "./store.ts";

/** The longest time to live, a hundred years: more is a mistake in units, and would not survive arithmetic. */
export const MAX_TTL_MS: number = 100 * 366 * 24 * 3600 * 1000;

/** Accepts a key, without the white space around it. */
export const cacheKeySchema: z.ZodType<string> = z.string().trim().min(1).max(MAX_KEY_CHARS);

/** Accepts how long an entry holds, in milliseconds. */
export const ttlMsSchema: z.ZodType<number> = z.number().positive().max(MAX_TTL_MS);

/** What a local cache is made of. */
export interface LocalCacheOptions {
  readonly store: CacheStore;
  readonly clock: Clock;
}

/** Opens a cache over `store`. */
export function openLocalCache({ store, clock }: LocalCacheOptions): SharedCache {
  return {
    get: async (key, options) => store.get(keyOf(key, options), clock.epochMs()),
    has: async (key, options) => (await store.get(keyOf(key, options), clock.epochMs())) !== undefined,
    async set(key, value, ttlMs, options) {
      const name = keyOf(key, options);
      checkValue(value);
      const nowMs = clock.epochMs();
      const endsMs =
        ttlMs === undefined ? undefined : Math.ceil(nowMs + parseInput(ttlMsSchema, ttlMs, "cache ttl"));
      return store.set(name, value, endsMs, nowMs);
    },
    delete: async (key, options) => store.delete(keyOf(key, options), clock.epochMs()),
  };
}

/** The key as it is stored, if the caller has not given up. @throws InvalidInputError, CancelledError */
function keyOf(key: string, options: CallOptions | undefined): string {
  if (options?.signal?.aborted) {
    throw new CancelledError("the caller gave up", { cause: options.signal.reason });
  }
  return parseInput(cacheKeySchema, key, "cache key");
}

/** @throws InvalidInputError, MessageTooLargeError */
function checkValue(value: unknown): void {
  const bytes = valueBytes(value);
  if (bytes === 0) throw new InvalidInputError("cache value: JSON cannot write it");
  if (bytes <= MAX_VALUE_BYTES) return;
  throw new MessageTooLargeError(`the cache value has ${bytes} bytes of JSON, more than ${MAX_VALUE_BYTES}`);
}

function valueBytes(value: unknown): number {
  try {
    return jsonBytes(value);
  } catch (error) {
    throw new InvalidInputError("cache value: JSON cannot write it", { cause: error });
  }
}
