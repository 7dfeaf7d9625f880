/** Puts one task on a queue: what all submitting tools share. */
import * as z from "zod";
import type { NewTask } from "../../task/task.ts";
import { MAX_NAME_CHARS } from "../../task/task.ts";
import type { ToolContext } from "../tool.ts";
import { type TargetHints, targetOf } from "./target.ts";

/** A task type or model name, as an argument. */
export const nameField: z.ZodString = z.string().max(MAX_NAME_CHARS);

/** What submitting answers. */
export interface Submitted {
  readonly ok: true;
  readonly task_id: string;
  readonly peer_id: string;
  readonly created: boolean;
}

/** Accepts {@link Submitted}. */
export const submittedSchema: z.ZodType<Submitted> = z.object({
  ok: z.literal(true),
  task_id: z.string().describe("Id to wait for, read or cancel the task by"),
  peer_id: z.string().describe("Peer id of the node whose queue holds the task"),
  created: z.boolean().describe("False if the idempotency key had given this task before"),
});

/** Submits `task` to the queue that the hints name. When it resolves the task is on disk there. */
export async function submitOne(task: NewTask, hints: TargetHints, context: ToolContext): Promise<Submitted> {
  const target = targetOf(hints);
  const peerId = await context.peerIdOf(target);
  const [receipt] = await context.queue(target).submit([task], { signal: context.signal });
  if (receipt === undefined) throw new TypeError("the queue gave no receipt");
  return { ok: true, task_id: receipt.taskId, peer_id: peerId, created: receipt.created };
}
