/** Looks at every task in a file, one by one. */
import { CHECKED_COLUMNS } from "../checksum.ts";
import { FACT_COLUMNS } from "../rows.ts";
import { damageOfTask } from "../task-rules.ts";
import type { Connection } from "./connection.ts";

/** So many tasks are held in memory at a time. */
const PAGE = 500;

// `NOT INDEXED`: the table itself is looked at; whether the indexes agree with it is SQLite's check.
const NEXT = `
  SELECT ${FACT_COLUMNS}, ${CHECKED_COLUMNS}, t.settled_token, t.holder
    FROM tasks t NOT INDEXED LEFT JOIN payloads p ON p.seq = t.seq LEFT JOIN outcomes o ON o.seq = t.seq
   WHERE t.seq > :after ORDER BY t.seq LIMIT ${PAGE}`;
const HISTORY = "SELECT n, at_ms, kind, worker_id, token, detail FROM history WHERE seq = :seq ORDER BY n";
const LOGS = "SELECT at_ms, stream, message FROM logs WHERE seq = :seq ORDER BY n";

/** What is wrong with one task. */
export interface TaskDamage {
  /** As it is in the file, so it may itself be damaged. */
  readonly taskId: string;
  readonly what: string;
}

/** Every damage of every task, as it is found. @returns how many tasks there were */
export function* damagedTasks(connection: Connection): Generator<TaskDamage, number> {
  let count = 0;
  let after = Number.MIN_SAFE_INTEGER;
  for (;;) {
    const rows = connection.all(NEXT, { after });
    for (const row of rows) {
      after = Number(row["seq"]);
      const taskId = String(row["id"]);
      const seq = after;
      const [events, logs] = [connection.all(HISTORY, { seq }), connection.all(LOGS, { seq })];
      for (const what of damageOfTask(row, events, logs)) yield { taskId, what };
    }
    count += rows.length;
    if (rows.length < PAGE) return count;
  }
}
