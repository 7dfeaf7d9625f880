/** Durations as workflow files write them. */
import { MAX_DURATION_MS } from "./limits.ts";

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** What a duration must look like, for messages. */
export const DURATION_ALLOWED = "must be milliseconds as a number, or text such as 500ms, 30s, 5m, 2h or 7d";

/**
 * Milliseconds from a number of them, or from text with a unit.
 *
 * @returns undefined if it is neither, or longer than {@link MAX_DURATION_MS}
 */
export function durationMs(value: number | string): number | undefined {
  const ms = typeof value === "number" ? value : fromText(value);
  return ms !== undefined && Number.isFinite(ms) && ms >= 0 && ms <= MAX_DURATION_MS ? ms : undefined;
}

function fromText(text: string): number | undefined {
  const [, digits, unit = ""] = /^(\d{1,12}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text.trim()) ?? [];
  const factor = UNITS[unit];
  return digits === undefined || factor === undefined ? undefined : Math.round(Number(digits) * factor);
}
