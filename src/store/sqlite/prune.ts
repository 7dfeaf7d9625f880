/** Forgets tasks that ended long ago. */
import * as z from "zod";
import type { Connection } from "./connection.ts";
import { parsed } from "./rows.ts";

/** How many tasks go in one transaction; each touches the five tables. */
export const PRUNE_BATCH = 200;

/** The tasks that ended first. */
export const FINISHED_BEFORE = `
  SELECT seq FROM tasks WHERE phase >= 3 AND updated_ms < :beforeMs ORDER BY updated_ms LIMIT :limit`;

const DELETES = ["logs", "history", "outcomes", "payloads", "tasks"].map(
  (table) => `DELETE FROM ${table} WHERE seq IN (SELECT value FROM json_each(:seqs))`,
);

const seqRow = z.object({ seq: z.int() });

/** Deletes up to `limit` tasks that ended before `beforeMs`. @returns how many */
export function pruneTasks(connection: Connection, beforeMs: number, limit: number): number {
  const seqs = connection.all(FINISHED_BEFORE, { beforeMs, limit }).map((row) => parsed(seqRow, row).seq);
  if (seqs.length === 0) return 0;
  for (const sql of DELETES) connection.run(sql, { seqs: JSON.stringify(seqs) });
  return seqs.length;
}
