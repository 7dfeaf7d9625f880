/** What a limit is. */

/** What a limit counts. */
export type LimitUnit = "bytes" | "bytes/s" | "ms" | "count" | "/s" | "/min";

/** One limit. */
export interface Limit {
  /** The default. */
  readonly value: number;
  readonly unit: LimitUnit;
  /** What is limited, and what happens beyond it: sentences. */
  readonly what: string;
  /** Why it is this much. */
  readonly why: string;
}

/** 1024 bytes. */
export const KIB = 1024;
/** 1024 × 1024 bytes. */
export const MIB: number = 1024 * KIB;
/** In milliseconds. */
export const SECOND = 1000;
/** In milliseconds. */
export const MINUTE: number = 60 * SECOND;
