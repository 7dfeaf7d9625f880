/** What was found when somebody asked why something does not work. */

/**
 * How much a finding matters: `problem` keeps something from working, `note` may explain something and harms nothing by
 * itself, `ok` was looked at and is well.
 */
export type FindingLevel = "problem" | "note" | "ok";

/** One thing that was found. */
export interface Finding {
  /** Stable name of the kind of finding, e.g. `address-refused`. */
  readonly code: string;
  readonly level: FindingLevel;
  /** What was found, as a sentence that starts small and has no full stop. */
  readonly what: string;
  /** A command to try next, or what to change. */
  readonly next?: string | undefined;
}

/** Whether a list of findings has none that keeps something from working. */
export function isHealthy(findings: readonly Finding[]): boolean {
  return findings.every(({ level }) => level !== "problem");
}
