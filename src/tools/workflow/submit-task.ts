import * as z from "zod";
import { DEFAULT_PRIORITY, MAX_NAME_CHARS, MAX_PRIORITY, MIN_PRIORITY } from "../../task/task.ts";
import { hashOf, MAX_TAGS, MAX_TASK_ID_CHARS } from "../../workflow/scheduler/index.ts";
import { parseTags } from "../../workflow/tags.ts";
import { adds } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { answeredBy, answerFields } from "./answer.ts";

/** Submits a workflow task at this node. */
export const submitTask: Tool = defineTool({
  name: "p2p_submit_task",
  description:
    "Submit a workflow task. It is kept on this node's disk and given, through p2p_get_next_task on any node of the network, to the peer that its hash names or to another one that works. Answers success false if a task of this id has not ended.",
  input: z.strictObject({
    task_id: z.string().min(1).max(MAX_TASK_ID_CHARS).describe("Chosen by you; may be used again once ended"),
    workflow_id: z.string().max(MAX_NAME_CHARS).describe("The workflow it belongs to"),
    name: z.string().max(MAX_NAME_CHARS).describe("What it is called"),
    tags: z
      .array(z.string().max(MAX_NAME_CHARS))
      .max(MAX_TAGS)
      .describe("p2p-only, p2p-eligible, github-api, unit-test, …; unknown ones are left out"),
    priority: z
      .int()
      .min(MIN_PRIORITY)
      .max(MAX_PRIORITY)
      .default(DEFAULT_PRIORITY)
      .describe("1 (last) to 10 (first)"),
  }),
  output: z.object({
    success: z.boolean(),
    task_id: z.string(),
    task_hash: z.string(),
    priority: z.int(),
    ...answerFields,
  }),
  annotations: adds("Submit a workflow task"),
  grant: "submit",

  async run(input, context) {
    const { task_id: taskId, workflow_id: workflowId, name, priority } = input;
    const task = { taskId, workflowId, name, tags: parseTags(input.tags), priority };
    const success = await context.scheduler().submit(task);
    return {
      success,
      task_id: taskId,
      task_hash: hashOf(task),
      priority,
      ...answeredBy("p2p_submit_task", context),
    };
  },
});
