import * as z from "zod";
import { hasCode, InvalidInputError } from "../../errors.ts";
import {
  DEFAULT_WAIT_MS,
  type FollowPoint,
  FROM_THE_BEGINNING,
  MAX_WAIT_MS,
  type TaskQueue,
  type WaitOutcome,
} from "../../task/queue.ts";
import { reads } from "../annotations.ts";
import { defineTool, type Tool, type ToolContext } from "../tool.ts";
import { newsRow, sameRowSchema, taskRow, type TaskRow } from "../../task/row.ts";
import { deadlineOf, targetFields, targetOf, timeoutField, waitWithin } from "./target.ts";

/** How often a caller that asked for progress hears that the wait goes on; hosts give up on a silent call after 60 s. */
const SLICE_MS = 15_000;

/** More than two numbers need. */
const MAX_SINCE_CHARS = 64;

/** Waits until a task has ended. */
export const waitTask: Tool = defineTool({
  name: "p2p_taskqueue_wait_task",
  description:
    "Wait until a task has ended and return it with its result. If the time is up first, timed_out is true and the task goes on: call again with the same id. Answers task null if the queue does not know the id.",
  input: z.strictObject({
    task_id: z.string().trim().min(1).describe("Id of the task, as submit returned it"),
    timeout_s: timeoutField(DEFAULT_WAIT_MS / 1000).describe("How long to wait at most, in seconds"),
    since: z
      .string()
      .max(MAX_SINCE_CHARS)
      .optional()
      .describe(
        'Answer at the first news after this `next` of an earlier answer, or "" at first, with the log lines since',
      ),
    ...targetFields,
  }),
  output: z.object({
    ok: z.literal(true),
    task: sameRowSchema.nullable(),
    timed_out: z.boolean().describe("True if the task had not ended when the time was up"),
    next: z.string().optional().describe("With since: pass it back as since"),
    missed: z.int().optional().describe("With since: how many log lines are gone that nobody was shown"),
  }),
  annotations: reads("Wait for a task"),
  grant: "observe",
  deadlineMs: deadlineOf,

  async run(input, context): Promise<News> {
    const queue = context.queue(targetOf(input));
    if (input.since !== undefined)
      return follow(queue, input.task_id, pointOf(input.since), input.timeout_s * 1000, context);
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

/** A {@link FollowPoint} as text: the two numbers. */
const POINT = /^(\d{1,15}):(\d{1,15}(?:\.\d+)?)$/;

/** @throws InvalidInputError if no answer had it */
function pointOf(since: string): FollowPoint {
  if (since === "") return FROM_THE_BEGINNING;
  const [, lines, changedAtMs] = POINT.exec(since) ?? [];
  if (lines === undefined) throw new InvalidInputError("since is not the `next` of an earlier answer");
  return { lines: Number(lines), changedAtMs: Number(changedAtMs) };
}

interface News {
  readonly ok: true;
  readonly task: TaskRow | null;
  readonly timed_out: boolean;
  readonly next?: string;
  readonly missed?: number;
}

async function follow(
  queue: TaskQueue,
  taskId: string,
  point: FollowPoint,
  timeoutMs: number,
  { signal }: ToolContext,
): Promise<News> {
  try {
    const waitMs = Math.min(waitWithin(timeoutMs), MAX_WAIT_MS);
    const news = await queue.follow(taskId, point, waitMs, { signal });
    const { lines, changedAtMs } = news.point;
    const next = `${lines}:${changedAtMs}`;
    return { ok: true, task: newsRow(news), timed_out: !news.finished, next, missed: news.missed };
  } catch (error) {
    if (hasCode(error, "E_TASK_NOT_FOUND")) return { ok: true, task: null, timed_out: false };
    throw error;
  }
}
