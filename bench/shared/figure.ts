/** What a suite reports, and what it is held to. */

/** In what a figure is counted; `×` is a ratio within one run, which is what can be compared between machines. */
export type Unit = "×" | "/s" | "ms" | "µs" | "µs CPU" | "ns" | "s" | "MB" | "KB" | "% CPU";

/** The line that a figure must not cross (design.md, section 6). */
export type Goal = { readonly atMost: number } | { readonly atLeast: number };

/** One number. */
export interface Figure {
  readonly name: string;
  /** Absent: it could not be measured here; {@link note} says why. */
  readonly value?: number | undefined;
  readonly unit: Unit;
  readonly goal?: Goal | undefined;
  readonly note?: string | undefined;
}

/** How a suite is run. */
export interface SuiteOptions {
  /** Fewer rounds and smaller sizes: shows that everything works, and the order of magnitude. */
  readonly quick: boolean;
}

/** Measures one part of the product. */
export interface Suite {
  readonly name: string;
  readonly about: string;
  run(options: SuiteOptions): Promise<readonly Figure[]>;
}

/** Whether a figure misses its goal. One that could not be measured does. */
export function isMissed({ value, goal }: Figure): boolean {
  if (!goal) return false;
  if (value === undefined) return true;
  return "atMost" in goal ? !(value <= goal.atMost) : !(value >= goal.atLeast);
}
