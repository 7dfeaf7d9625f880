import * as z from "zod";
import { reads } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { taskRow, taskRowSchema } from "../../task/row.ts";
import { deadlineOf, targetFields, targetOf, timeoutField } from "./target.ts";

/** Reads one task. */
export const getTask: Tool = defineTool({
  name: "p2p_taskqueue_get_task",
  description:
    "Read one task: status, result, progress, logs, error and history. Answers task null if the queue does not know the id.",
  input: z.strictObject({
    task_id: z.string().trim().min(1).describe("Id of the task, as submit returned it"),
    ...targetFields,
    timeout_s: timeoutField(),
  }),
  output: z.object({ ok: z.literal(true), task: taskRowSchema.nullable() }),
  annotations: reads("Read a task"),
  grant: "observe",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const task = await context.queue(targetOf(input)).get(input.task_id, { signal: context.signal });
    return { ok: true, task: task === undefined ? null : taskRow(task) };
  },
});
