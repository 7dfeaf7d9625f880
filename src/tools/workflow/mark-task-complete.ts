import * as z from "zod";
import { jsonObject } from "../../content/json.ts";
import { MAX_NAME_CHARS } from "../../task/task.ts";
import { MAX_TASK_ID_CHARS } from "../../workflow/scheduler/index.ts";
import { ends } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { answeredBy, answerFields } from "./answer.ts";

/** Ends a workflow task that was given out. */
export const markTaskComplete: Tool = defineTool({
  name: "p2p_mark_task_complete",
  description:
    "Say that a workflow task is done, at the node that got it from p2p_get_next_task or at the one where it was submitted. Answers success false if it was not given out, or went to somebody else meanwhile.",
  input: z.strictObject({
    task_id: z.string().min(1).max(MAX_TASK_ID_CHARS).describe("Id of the task"),
    home_peer: z
      .string()
      .max(MAX_NAME_CHARS)
      .default("")
      .describe("Its home_peer, if several nodes have a task of this id"),
    result: jsonObject.default({}).describe("What the work produced"),
  }),
  output: z.object({
    success: z.boolean(),
    task_id: z.string(),
    delivered: z.boolean().optional().describe("False: it is kept here until the task's home is back"),
    reason: z.string().optional().describe("Why not"),
    ...answerFields,
  }),
  annotations: ends("Complete a workflow task"),
  grant: "work",

  async run({ task_id: taskId, home_peer: home, result }, context) {
    const { caller, signal } = context;
    const asHome = caller.kind === "owner";
    const done = await context
      .scheduler()
      .complete(taskId, result, { from: home || undefined, asHome, signal });
    return {
      success: done.success,
      task_id: taskId,
      ...(done.success && { delivered: done.delivered }),
      ...(done.reason !== undefined && { reason: done.reason }),
      ...answeredBy("p2p_mark_task_complete", context),
    };
  },
});
