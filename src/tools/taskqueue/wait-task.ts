import * as z from "zod";
import { hasCode } from "../../errors.ts";
import { DEFAULT_WAIT_MS, type TaskQueue, type WaitOutcome } from "../../task/queue.ts";
import { reads } from "../annotations.ts";
import { defineTool, type Tool, type ToolContext } from "../tool.ts";
import { sameRowSchema, taskRow } from "../../task/row.ts";
import { deadlineOf, targetFields, targetOf, timeoutField, waitWithin } from "./target.ts";

/** How often a caller that asked for progress hears that the wait goes on; hosts give up on a silent call after 60 s. */
const SLICE_MS = 15_000;

/** Waits until a task has ended. */
export const waitTask: Tool = defineTool({
  name: "p2p_taskqueue_wait_task",
  description:
    "Wait until a task has ended and return it with its result. If the time is up first, timed_out is true and the task goes on: call again with the same id. Answers task null if the queue does not know the id.",
  input: z.strictObject({
    task_id: z.string().trim().min(1).describe("Id of the task, as submit returned it"),
    timeout_s: timeoutField(DEFAULT_WAIT_MS / 1000).describe("How long to wait at most, in seconds"),
    ...targetFields,
  }),
  output: z.object({
    ok: z.literal(true),
    task: sameRowSchema.nullable(),
    timed_out: z.boolean().describe("True if the task had not ended when the time was up"),
  }),
  annotations: reads("Wait for a task"),
  grant: "observe",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const queue = context.queue(targetOf(input));
    const outcome = await waitInSlices(queue, input.task_id, input.timeout_s * 1000, context);
    if (outcome === undefined) return { ok: true, task: null, timed_out: false };
    return { ok: true, task: taskRow(outcome.task), timed_out: !outcome.finished };
  },
});

/** @returns undefined if the queue does not know the task */
async function waitInSlices(
  queue: TaskQueue,
  taskId: string,
  timeoutMs: number,
  context: ToolContext,
): Promise<WaitOutcome | undefined> {
  const totalMs = waitWithin(timeoutMs);
  try {
    for (let waitedMs = 0; ;) {
      const sliceMs = Math.min(SLICE_MS, totalMs - waitedMs);
      const outcome = await queue.wait(taskId, sliceMs, { signal: context.signal });
      waitedMs += sliceMs;
      if (outcome.finished || waitedMs >= totalMs) return outcome;
      context.progress(waitedMs / 1000, timeoutMs / 1000, `task is ${outcome.task.state}`);
    }
  } catch (error) {
    if (hasCode(error, "E_TASK_NOT_FOUND")) return undefined;
    throw error;
  }
}
