import * as z from "zod";
import { hasCode, InvalidInputError } from "../../errors.ts";
import {
  DEFAULT_WAIT_MS,
  type FollowPoint,
  FROM_THE_BEGINNING,
  MAX_WAIT_MS,
  type TaskNews,
  type TaskQueue,
  type WaitOutcome,
} from "../../task/queue.ts";
import { reads } from "../annotations.ts";
import { defineTool, type Tool, type ToolContext } from "../tool.ts";
import { newsRow, sameRowSchema, taskRow, type TaskRow } from "../../task/row.ts";
import { deadlineOf, targetFields, targetOf, timeoutField, waitWithin } from "./target.ts";

/** How often a caller that asked for progress hears that the wait goes on; hosts give up on a silent call after 60 s. */
const SLICE_MS = 15_000;

/** How many lines one report has at most, and how much of each: it is shown beside a spinner. */
const TOLD_LINES = 5;
const TOLD_CHARS = 300;

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
    const wait = context.isHeard ? waitAloud : waitInSilence;
    const outcome = await wait(queue, input.task_id, input.timeout_s * 1000, context);
    if (outcome === undefined) return { ok: true, task: null, timed_out: false };
    return { ok: true, task: taskRow(outcome.task), timed_out: !outcome.finished };
  },
});

/** @returns undefined if the queue does not know the task */
async function waitInSilence(
  queue: TaskQueue,
  taskId: string,
  timeoutMs: number,
  { signal }: ToolContext,
): Promise<WaitOutcome | undefined> {
  const totalMs = waitWithin(timeoutMs);
  try {
    for (let waitedMs = 0; ;) {
      const sliceMs = Math.min(MAX_WAIT_MS, totalMs - waitedMs);
      const outcome = await queue.wait(taskId, sliceMs, { signal });
      waitedMs += sliceMs;
      if (outcome.finished || waitedMs >= totalMs) return outcome;
    }
  } catch (error) {
    if (hasCode(error, "E_TASK_NOT_FOUND")) return undefined;
    throw error;
  }
}

/** Tells what the task writes meanwhile, and now and then that the wait goes on. @returns undefined if the queue does not know the task */
async function waitAloud(
  queue: TaskQueue,
  taskId: string,
  timeoutMs: number,
  context: ToolContext,
): Promise<WaitOutcome | undefined> {
  const { signal } = context;
  const totalMs = waitWithin(timeoutMs);
  const begunAtMs = context.epochMs();
  try {
    // What it wrote before nobody has waited for.
    for (let news = await queue.follow(taskId, FROM_THE_BEGINNING, 0, { signal }); ;) {
      const leftMs = totalMs - (context.epochMs() - begunAtMs);
      if (news.finished || leftMs <= 0) return await queue.wait(taskId, 0, { signal });
      news = await queue.follow(taskId, news.point, Math.min(SLICE_MS, leftMs), { signal });
      const waitedMs = context.epochMs() - begunAtMs;
      if (!news.finished && waitedMs < totalMs)
        context.progress(waitedMs / 1000, timeoutMs / 1000, wordsOf(news));
    }
  } catch (error) {
    if (hasCode(error, "E_TASK_NOT_FOUND")) return undefined;
    // An older node tells only the end.
    if (!hasCode(error, "E_METHOD_NOT_FOUND") && !hasCode(error, "E_NOT_SUPPORTED_BY_PEER")) throw error;
    return waitInSilence(queue, taskId, timeoutMs - (context.epochMs() - begunAtMs), context);
  }
}

/** What a host shows: the last lines, or else the state. */
function wordsOf({ task, logs }: TaskNews): string {
  if (logs.length === 0) return `task is ${task.state}`;
  return logs
    .slice(-TOLD_LINES)
    .map(({ message }) => message.slice(0, TOLD_CHARS))
    .join("\n");
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
