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

const LEVELS: readonly FindingLevel[] = ["problem", "note", "ok"];

/** Orders findings: problems first. */
export function byLevel(a: Finding, b: Finding): number {
  return LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level);
}

/** A finding that something keeps from working. */
export function problem(code: string, what: string, next?: string): Finding {
  return { code, level: "problem", what, ...(next !== undefined && { next }) };
}

/** A finding that may explain something. */
export function note(code: string, what: string, next?: string): Finding {
  return { code, level: "note", what, ...(next !== undefined && { next }) };
}

/** A finding that something is well. */
export function fine(code: string, what: string): Finding {
  return { code, level: "ok", what };
}
