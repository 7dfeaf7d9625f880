/** Forgets tasks that ended long ago. */
import * as z from "zod";
import { PHASE } from "../phase.ts";
import type { Connection } from "./connection.ts";
import { parsed } from "../rows.ts";

/** How many tasks go in one transaction; each touches the five tables. */
export const PRUNE_BATCH = 200;

/** The tasks that ended first. */
export const FINISHED_BEFORE = `
  SELECT seq, phase FROM tasks WHERE phase >= 3 AND updated_ms < :beforeMs ORDER BY updated_ms LIMIT :limit`;

const DELETES = ["logs", "history", "outcomes", "payloads", "tasks"].map(
  (table) => `DELETE FROM ${table} WHERE seq IN (SELECT value FROM json_each(:seqs))`,
);

const endedRow = z.object({ seq: z.int(), phase: z.enum(PHASE) });

/** Deletes up to `limit` tasks that ended before `beforeMs`. @returns how many */
export function pruneTasks(connection: Connection, beforeMs: number, limit: number): number {
  const ended = connection.all(FINISHED_BEFORE, { beforeMs, limit }).map((row) => parsed(endedRow, row));
  if (ended.length === 0) return 0;
  const seqs = JSON.stringify(ended.map(({ seq }) => seq));
  for (const sql of DELETES) connection.run(sql, { seqs });
  for (const { phase } of ended) connection.counts.moved(phase, undefined);
  return ended.length;
}
