/** Looks through the lanes that have ready tasks, a bounded number a time. */
import type { LaneRange } from "../../task/store.ts";

/**
 * The lanes from `low` (included) up to `high` (excluded; NULL: no end) that have ready tasks, in order, as a statement.
 *
 * A loose index scan: from each lane one seek to the next, instead of a walk over all ready tasks.
 */
export function lanesBetween(low: string, high: string, limit: string): string {
  const below = `(${high} IS NULL OR lane < ${high} COLLATE "C")`;
  return `
    WITH RECURSIVE found (lane) AS (
      (SELECT lane FROM tasks WHERE phase = 0 AND lane >= ${low} COLLATE "C" AND ${below} ORDER BY lane LIMIT 1)
      UNION ALL
      SELECT (SELECT lane FROM tasks WHERE phase = 0 AND lane > found.lane AND ${below} ORDER BY lane LIMIT 1)
        FROM found WHERE found.lane IS NOT NULL
    )
    SELECT lane FROM found WHERE lane IS NOT NULL LIMIT ${limit}`;
}

/** Goes round all lanes, a bounded number at a time, so that none is passed over for ever. */
export class LaneRound {
  #resumeAt = "";

  /** The parts of `ranges` in the order in which they are to be looked through. */
  parts(ranges: readonly LaneRange[]): readonly LaneRange[] {
    const at = this.#resumeAt;
    const ahead = ranges
      .filter(({ before }) => before === undefined || before > at)
      .map(({ from, before }) => ({ from: from > at ? from : at, before }));
    const behind = ranges
      .filter(({ from }) => from < at)
      .map(({ from, before }) => ({ from, before: before !== undefined && before < at ? before : at }));
    return [...ahead, ...behind];
  }

  /** Tells the last lane that was looked at when there were too many. */
  stoppedAt(lane: string): void {
    // The first text after it.
    this.#resumeAt = `${lane}\0`;
  }
}
