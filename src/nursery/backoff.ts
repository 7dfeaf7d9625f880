/** Growing pauses between attempts. */

/** How long pauses are and how they grow. */
export interface Backoff {
  /** The first pause is at most this long, in milliseconds; each further one up to twice as long. Default 100. */
  readonly baseMs?: number | undefined;
  /** No pause is longer, in milliseconds. Default 30,000. */
  readonly maxMs?: number | undefined;
  /** Draws each pause at random between nothing and its length, so that many callers do not return at once. Default true. */
  readonly jitter?: boolean | undefined;
  /** Numbers from 0 to below 1; give a seeded one for pauses that repeat. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** Long enough for a short disturbance to pass, short enough not to be noticed. */
const DEFAULT_BASE_MS = 100;

/** Long enough to spare what is down, short enough to find it soon after it is back. */
const DEFAULT_MAX_MS = 30_000;

/**
 * The pause after the given number of failures, in milliseconds.
 *
 * Doubling with full jitter, after M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
 *
 * @param failures - how many there have been, at least 1
 */
export function pauseAfter(failures: number, backoff: Backoff): number {
  const { baseMs = DEFAULT_BASE_MS, maxMs = DEFAULT_MAX_MS, jitter = true, random = Math.random } = backoff;
  const longest = Math.min(maxMs, baseMs * 2 ** (failures - 1));
  return jitter ? random() * longest : longest;
}
