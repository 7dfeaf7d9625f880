/** How long a failed attempt waits for the next one. */

/** The longest first pause: most passing troubles are over after a second. */
export const RETRY_BASE_MS = 1000;
/** The longest pause at all: whoever mends the cause should see the effect within minutes. */
export const RETRY_CAP_MS: number = 5 * 60_000;
/** The shortest pause: without it, jitter would now and then retry at once, into the same trouble. */
export const RETRY_FLOOR_MS = 500;

/**
 * The pause after attempt number `attempt`, in milliseconds: anything between {@link RETRY_FLOOR_MS} and a ceiling
 * that starts at {@link RETRY_BASE_MS}, doubles with each attempt and stops at {@link RETRY_CAP_MS}.
 *
 * Spread over the whole range ("full jitter", AWS Architecture Blog, 2015), so that tasks which failed together
 * do not come back together.
 *
 * @param attempt - which attempt failed; the first is 1
 * @param random - gives numbers from 0 (included) to 1 (excluded)
 */
export function retryDelayMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.max(0, attempt - 1));
  return Math.round(RETRY_FLOOR_MS + random() * (ceiling - RETRY_FLOOR_MS));
}
