import * as z from "zod";
import { sets } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { deadlineOf, targetFields, targetOf, timeoutField } from "./target.ts";

/** Hands a claimed task back. */
export const releaseTask: Tool = defineTool({
  name: "p2p_taskqueue_release_task",
  description:
    "Hand a task that you claimed back to the queue unbegun. It keeps its place and the attempt does not count.",
  input: z.strictObject({
    task_id: z.string().trim().min(1).describe("Id of the claimed task"),
    lease_token: z.int().describe("The claim's lease_token"),
    reason: z.string().default("").describe("Why, for its history"),
    ...targetFields,
    timeout_s: timeoutField(),
  }),
  output: z.object({ ok: z.literal(true), task_id: z.string() }),
  annotations: sets("Hand a task back"),
  grant: "work",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const lease = { taskId: input.task_id, token: input.lease_token };
    const reason = input.reason || "released by its worker";
    await context.queue(targetOf(input)).release(lease, reason, { signal: context.signal });
    return { ok: true, task_id: input.task_id };
  },
});
