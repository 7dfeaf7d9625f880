/** What other processes may have changed, as far as a queue must know of it. */
import * as z from "zod";
import type { Survey } from "../../task/store.ts";
import { PHASE } from "../phase.ts";
import { MAX_SCANNED_LANES } from "../stores.ts";
import type { Connection } from "./connection.ts";
import { nextDueMs } from "./due.ts";
import { lanesIn } from "./lanes.ts";
import { parsed } from "../rows.ts";

/** Those of the given ids whose task has ended or is not there, each found by the index on ids. */
const ENDED = `
  SELECT asked.value AS id FROM json_each(:ids) AS asked
    LEFT JOIN tasks ON tasks.id = asked.value
   WHERE tasks.id IS NULL OR tasks.phase >= ${PHASE.completed}`;

const idRow = z.object({ id: z.string() });

/** Three reads, none of which grows with the queue. */
export function surveyTasks(connection: Connection, taskIds: readonly string[]): Survey {
  const ended = taskIds.length === 0 ? [] : connection.all(ENDED, { ids: JSON.stringify(taskIds) });
  const lanes = lanesIn(connection, { from: "" }, MAX_SCANNED_LANES + 1);
  return {
    endedTaskIds: ended.map((row) => parsed(idRow, row).id),
    readyLanes: lanes.length > MAX_SCANNED_LANES ? undefined : lanes,
    nextDueMs: nextDueMs(connection),
  };
}
