import * as z from "zod";
import { ends } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { deadlineOf, targetFields, targetOf, timeoutField } from "./target.ts";

/** Ends a task that nobody needs any more. */
export const cancelTask: Tool = defineTool({
  name: "p2p_taskqueue_cancel_task",
  description:
    "Cancel a queued or running task that is no longer needed. The worker of a running one is told and stops.",
  input: z.strictObject({
    task_id: z.string().trim().min(1).describe("Id of the task"),
    reason: z.string().default("").describe("Why, for its history"),
    ...targetFields,
    timeout_s: timeoutField(),
  }),
  output: z.object({ ok: z.literal(true), task_id: z.string() }),
  annotations: ends("Cancel a task"),
  grant: "submit",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const reason = input.reason || "cancelled on request";
    await context.queue(targetOf(input)).cancel(input.task_id, reason, { signal: context.signal });
    return { ok: true, task_id: input.task_id };
  },
});
