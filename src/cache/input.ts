/** What a cache accepts as keys, times and values, near and far. */
import * as z from "zod";
import { jsonBytes } from "../content/json.ts";
import { InvalidInputError, MessageTooLargeError } from "../errors.ts";
import { MAX_KEY_CHARS, MAX_VALUE_BYTES } from "./cache.ts";

/** The longest time to live, a hundred years: more is a mistake in units, and would not survive arithmetic. */
export const MAX_TTL_MS: number = 100 * 366 * 24 * 3600 * 1000;

/** Accepts a key, without the white space around it. */
export const cacheKeySchema: z.ZodType<string> = z.string().trim().min(1).max(MAX_KEY_CHARS);

/** Accepts how long an entry holds, in milliseconds. */
export const ttlMsSchema: z.ZodType<number> = z.number().positive().max(MAX_TTL_MS);

/** @throws InvalidInputError, MessageTooLargeError */
export function checkValue(value: unknown): void {
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
