/** Forgets tasks that ended long ago, and tidies what transactions leave behind. */
import * as z from "zod";
import { parsed } from "../rows.ts";
import { type Database, onlyRow } from "./database.ts";

/** How many tasks go in one transaction; each touches the five tables. */
export const PRUNE_BATCH = 200;

const PRUNE = `
  WITH gone AS MATERIALIZED (
    SELECT seq, phase FROM tasks WHERE phase >= 3 AND updated_ms < $1 ORDER BY updated_ms LIMIT $2 FOR UPDATE SKIP LOCKED
  ), l AS (DELETE FROM logs USING gone WHERE logs.seq = gone.seq
  ), h AS (DELETE FROM history USING gone WHERE history.seq = gone.seq
  ), o AS (DELETE FROM outcomes USING gone WHERE outcomes.seq = gone.seq
  ), p AS (DELETE FROM payloads USING gone WHERE payloads.seq = gone.seq
  ), t AS (DELETE FROM tasks USING gone WHERE tasks.seq = gone.seq RETURNING gone.phase
  ), c AS (INSERT INTO task_counts (phase, n) SELECT phase, -count(*) FROM t GROUP BY phase)
  SELECT count(*) AS n FROM t`;

const prunedRow = z.object({ n: z.int() });

/** Deletes up to `limit` tasks that ended before `beforeMs`. @returns how many */
export async function pruneTasks(database: Database, beforeMs: number, limit: number): Promise<number> {
  return parsed(prunedRow, onlyRow(await database.query(PRUNE, [beforeMs, limit]))).n;
}

/** How many rows one call adds up or deletes at most. */
const TIDY_ROWS = 20_000;

const ADD_UP = `
  WITH gone AS (
    DELETE FROM task_counts WHERE ctid = ANY (ARRAY (SELECT ctid FROM task_counts LIMIT ${TIDY_ROWS} FOR UPDATE SKIP LOCKED))
    RETURNING phase, n)
  INSERT INTO task_counts (phase, n) SELECT phase, sum(n) FROM gone GROUP BY phase HAVING sum(n) <> 0`;

// A signature is asked for within seconds, or never.
const FORGET_COMMITS = `
  DELETE FROM commits WHERE ctid = ANY (ARRAY (
    SELECT ctid FROM commits WHERE at < now() - interval '15 minutes' LIMIT ${TIDY_ROWS} FOR UPDATE SKIP LOCKED))`;

/** Adds up the changes of counts, and forgets old signatures. */
export async function tidy(database: Database): Promise<void> {
  await database.query(ADD_UP);
  await database.query(FORGET_COMMITS);
}
