/** Looks through the lanes that have ready tasks, a bounded number a time. */
import * as z from "zod";
import type { LaneRange } from "../../task/store.ts";
import { MAX_SCANNED_LANES } from "../stores.ts";
import type { Connection } from "./connection.ts";
import { parsed } from "../rows.ts";

/**
 * A loose index scan: from each lane one seek to the next, instead of a walk over all ready tasks. The index is
 * named because the planner, which keeps no statistics here, would walk `tasks_by_phase`.
 */
export const LANES_IN_RANGE = `
  WITH RECURSIVE lanes (lane) AS (
    SELECT min(lane) FROM tasks INDEXED BY tasks_ready WHERE phase = 0 AND lane >= :from AND lane < :before
    UNION ALL
    SELECT (SELECT min(lane) FROM tasks INDEXED BY tasks_ready WHERE phase = 0 AND lane > lanes.lane AND lane < :before)
      FROM lanes WHERE lane IS NOT NULL
  )
  SELECT lane FROM lanes WHERE lane IS NOT NULL LIMIT :limit`;

/** In SQLite every text comes before every blob (https://www.sqlite.org/datatype3.html, section 4.1). */
const AFTER_ALL_TEXT = new Uint8Array(0);

const laneRow = z.object({ lane: z.string() });

/** The first lanes of `range` that have ready tasks, at most `limit`. */
export function lanesIn(connection: Connection, { from, before }: LaneRange, limit: number): string[] {
  const rows = connection.all(LANES_IN_RANGE, { from, before: before ?? AFTER_ALL_TEXT, limit });
  return rows.map((row) => parsed(laneRow, row).lane);
}

/** Goes round all lanes, {@link MAX_SCANNED_LANES} at a time, so that none is passed over for ever. */
export class LaneScan {
  readonly #connection: Connection;
  #resumeAt = "";

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The next lanes of `ranges` that have ready tasks; all of them if they are few. */
  next(ranges: readonly LaneRange[]): string[] {
    const lanes: string[] = [];
    for (const range of [...this.#ahead(ranges), ...this.#behind(ranges)]) {
      lanes.push(...lanesIn(this.#connection, range, MAX_SCANNED_LANES - lanes.length));
      if (lanes.length < MAX_SCANNED_LANES) continue;
      // The first text after the last lane.
      this.#resumeAt = `${lanes.at(-1) ?? ""}\0`;
      break;
    }
    return lanes;
  }

  #ahead(ranges: readonly LaneRange[]): LaneRange[] {
    const at = this.#resumeAt;
    return ranges
      .filter(({ before }) => before === undefined || before > at)
      .map(({ from, before }) => ({ from: from > at ? from : at, before }));
  }

  #behind(ranges: readonly LaneRange[]): LaneRange[] {
    const at = this.#resumeAt;
    return ranges
      .filter(({ from }) => from < at)
      .map(({ from, before }) => ({ from, before: before !== undefined && before < at ? before : at }));
  }
}
