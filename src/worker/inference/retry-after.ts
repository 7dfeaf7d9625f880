/** How long a server asks to be left alone (RFC 9110, section 10.2.3). */

/** A server that asks for more than an hour is taken at its word for an hour. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/**
 * Reads the header, which has seconds or a date.
 *
 * @param nowMs - milliseconds since 1970
 * @returns milliseconds from now, at most an hour; undefined if the header is absent or is neither
 */
export function retryAfterMs(header: string | null | undefined, nowMs: number): number | undefined {
  const text = header?.trim() ?? "";
  if (/^\d+(\.\d+)?$/.test(text)) return Math.min(Number(text) * 1000, MAX_RETRY_AFTER_MS);
  // Anything without a weekday and a time is no date of HTTP, however Date.parse would take it.
  if (!/^[A-Za-z]{3,9},? .*\d\d:\d\d:\d\d/.test(text)) return undefined;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : Math.min(Math.max(atMs - nowMs, 0), MAX_RETRY_AFTER_MS);
}
