import * as z from "zod";
import { hashOf } from "../../workflow/scheduler/index.ts";
import { adds } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { answeredBy, answerFields } from "./answer.ts";

/** Gives the host of this node its next workflow task. */
export const getNextTask: Tool = defineTool({
  name: "p2p_get_next_task",
  description:
    "Take the next workflow task for this node, from its own tasks and those of its peers: highest priority first. The node keeps it for you until p2p_mark_task_complete, for an hour at most. Answers task null if there is none now.",
  input: z.strictObject({}),
  output: z.object({
    task: z
      .object({
        task_id: z.string(),
        workflow_id: z.string(),
        name: z.string(),
        tags: z.array(z.string()),
        priority: z.int(),
        task_hash: z.string(),
        assigned_peer: z.string().describe("The peer that its hash names; another one may have taken over"),
        home_peer: z.string().describe("The node whose task it is"),
      })
      .nullable(),
    message: z.string().optional(),
    ...answerFields,
  }),
  annotations: adds("Take the next workflow task"),
  grant: "work",

  async run(_, context) {
    const given = await context.scheduler().next({ signal: context.signal });
    const facts = answeredBy("p2p_get_next_task", context);
    if (!given) return { task: null, message: "No tasks available for this peer", ...facts };
    const { taskId, workflowId, name, tags, priority } = given.task;
    const task = {
      task_id: taskId,
      workflow_id: workflowId,
      name,
      tags: [...tags],
      priority,
      task_hash: hashOf(given.task),
      assigned_peer: given.owner,
      home_peer: given.home,
    };
    return { task, ...facts };
  },
});
