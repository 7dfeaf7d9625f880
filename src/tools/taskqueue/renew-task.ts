import * as z from "zod";
import { jsonObject } from "../../content/json.ts";
import { DEFAULT_LEASE_MS, MAX_LEASE_MS, MIN_LEASE_MS } from "../../task/queue.ts";
import { MAX_LOG_LINES } from "../../task/task.ts";
import { sets } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { deadlineOf, targetFields, targetOf, timeoutField } from "./target.ts";

const lineField = z.strictObject({
  message: z.string(),
  stream: z.string().default("stdout"),
  ts: z.number().optional().describe("When, in seconds since 1970; default now"),
});

/** Keeps a claimed task. */
export const renewTask: Tool = defineTool({
  name: "p2p_taskqueue_renew_task",
  description:
    "Keep a task that you claimed for longer, and report progress and log lines. Call it well before lease_until; if the lease was lost, drop the work.",
  input: z.strictObject({
    task_id: z.string().trim().min(1).describe("Id of the claimed task"),
    lease_token: z.int().describe("The claim's lease_token"),
    lease_s: z
      .number()
      .min(MIN_LEASE_MS / 1000)
      .max(MAX_LEASE_MS / 1000)
      .default(DEFAULT_LEASE_MS / 1000)
      .describe("How long the lease holds from now, in seconds"),
    progress: jsonObject.nullish().describe("Replaces the members of the task's progress that it names"),
    logs: z.array(lineField).max(MAX_LOG_LINES).nullish().describe("Log lines to append"),
    ...targetFields,
    timeout_s: timeoutField(),
  }),
  output: z.object({
    ok: z.literal(true),
    task_id: z.string(),
    lease_until: z
      .number()
      .describe("Until when the lease holds, in seconds since 1970, by the queue's clock"),
  }),
  annotations: sets("Renew a lease"),
  grant: "work",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const { task_id: taskId, lease_token: token, progress, logs } = input;
    const queue = context.queue(targetOf(input));
    const options = { signal: context.signal };
    const untilMs = await queue.renew({ taskId, token }, input.lease_s * 1000, options);
    if (progress || logs?.length) {
      const nowMs = context.epochMs();
      const lines = (logs ?? []).map(({ ts, ...line }) => ({
        ...line,
        atMs: ts === undefined ? nowMs : ts * 1000,
      }));
      await queue.note({ taskId, token }, { ...(progress && { progress }), logs: lines }, options);
    }
    return { ok: true, task_id: taskId, lease_until: untilMs / 1000 };
  },
});
