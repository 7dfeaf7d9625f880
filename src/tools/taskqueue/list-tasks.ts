import * as z from "zod";
import { jsonBytes } from "../../content/json.ts";
import { DEFAULT_LIST_LIMIT, MAX_LIST_LIMIT, type TaskQueue } from "../../task/queue.ts";
import { TASK_STATES, type TaskState, type TaskSummary } from "../../task/task.ts";
import { reads } from "../annotations.ts";
import { defineTool, type Tool, type ToolContext } from "../tool.ts";
import { bareRow, sameRowSchema, taskRow, type TaskRow } from "../../task/row.ts";
import { deadlineOf, targetFields, targetOf, timeoutField } from "./target.ts";

/** How many whole tasks are read at once: enough to hide a round trip. */
const READ_BATCH = 50;
/** A list whose rows would be larger than this shows the rest of them without payload and result. */
const MAX_LIST_BYTES: number = 4 * 1024 * 1024;

const statusField = z
  .preprocess(
    (value) => (typeof value === "string" ? value.trim().toLowerCase() : value),
    z.enum(["", ...TASK_STATES]),
  )
  .default("")
  .describe("Only tasks in this state; empty: all");

/** Shows a page of tasks. */
export const listTasks: Tool = defineTool({
  name: "p2p_taskqueue_list_tasks",
  description:
    "List the tasks of a queue, oldest first, filtered by status and type. Pass next_cursor back as `cursor` for the next page.",
  input: z.strictObject({
    status: statusField,
    limit: z
      .int()
      .min(0)
      .max(MAX_LIST_LIMIT)
      .default(DEFAULT_LIST_LIMIT)
      .describe(`Page size; 0 means ${DEFAULT_LIST_LIMIT}`),
    task_types: z.array(z.string()).nullish().describe("Only these task types; empty or null: all"),
    cursor: z.string().optional().describe("next_cursor of the page before"),
    bodies: z.boolean().default(true).describe("Show payload and result of each task"),
    ...targetFields,
    timeout_s: timeoutField(),
  }),
  output: z.object({
    ok: z.literal(true),
    tasks: z.array(sameRowSchema),
    next_cursor: z.string().nullable().describe("Null on the last page"),
  }),
  annotations: reads("List tasks"),
  grant: "observe",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const queue = context.queue(targetOf(input));
    const types = (input.task_types ?? []).map((type) => type.trim()).filter((type) => type !== "");
    const filter = {
      ...(isState(input.status) && { state: input.status }),
      ...(types.length > 0 && { types }),
      limit: input.limit || DEFAULT_LIST_LIMIT,
      ...(input.cursor !== undefined && { cursor: input.cursor }),
    };
    const page = await queue.list(filter, { signal: context.signal });
    const tasks = input.bodies ? await wholeRows(queue, page.tasks, context) : page.tasks.map(bareRow);
    return { ok: true, tasks, next_cursor: page.nextCursor ?? null };
  },
});

function isState(status: string): status is TaskState {
  return status !== "";
}

/** Rows with payload and result, as far as the size of the list allows. */
async function wholeRows(
  queue: TaskQueue,
  tasks: readonly TaskSummary[],
  { signal }: ToolContext,
): Promise<readonly TaskRow[]> {
  const rows: TaskRow[] = [];
  let bytes = 0;
  for (let from = 0; from < tasks.length; from += READ_BATCH) {
    const batch = tasks.slice(from, from + READ_BATCH);
    const whole =
      bytes < MAX_LIST_BYTES ? await Promise.all(batch.map(({ id }) => queue.get(id, { signal }))) : [];
    for (const [index, summary] of batch.entries()) {
      const task = whole[index];
      const { history: _, ...row } = task === undefined ? bareRow(summary) : taskRow(task);
      bytes += jsonBytes(row);
      rows.push(bytes < MAX_LIST_BYTES ? row : bareRow(summary));
    }
  }
  return rows;
}
