import * as z from "zod";
import { jsonObject } from "../../content/json.ts";
import { MAX_CLAIM_WAIT_MS, MAX_LEASE_MS, MIN_LEASE_MS } from "../../task/queue.ts";
import { MAX_NAME_CHARS } from "../../task/task.ts";
import { adds } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { claimedRow, claimedRowSchema } from "../../task/row.ts";
import { deadlineOf, remoteFields, targetOf, timeoutField } from "./target.ts";

/** What a claim may take in all: the wait for a task, and the call itself. */
const claimDeadline = (input: { readonly timeout_s: number; readonly wait_s: number }): number =>
  deadlineOf(input) + input.wait_s * 1000;

/** Takes the next task as a worker. */
export const claimNext: Tool = defineTool({
  name: "p2p_taskqueue_claim_next",
  description:
    "Take the next task from a queue to work on it: highest priority first, then oldest. Answers the task with a lease_token, or task null; renew the lease before lease_until and end it with p2p_taskqueue_complete_task.",
  input: z.strictObject({
    worker_id: z
      .string()
      .trim()
      .min(1)
      .max(MAX_NAME_CHARS)
      .describe("Name of the worker, recorded as the assignee"),
    supported_task_types: z.array(z.string()).nullish().describe("Task types it takes; empty or null: any"),
    peer_id: z
      .string()
      .trim()
      .default("")
      .describe("Identity that the worker announces to the queue as alive"),
    clock: jsonObject.nullish().describe("Vector clock of the worker, announced with peer_id"),
    ...remoteFields,
    wait_s: z
      .number()
      .min(0)
      .max(MAX_CLAIM_WAIT_MS / 1000)
      .default(0)
      .describe("Wait so many seconds for a task if none is ready"),
    lease_s: z
      .number()
      .min(MIN_LEASE_MS / 1000)
      .max(MAX_LEASE_MS / 1000)
      .optional()
      .describe("How long the lease holds unrenewed; default 30"),
    timeout_s: timeoutField().describe("How long the call may take besides wait_s, in seconds"),
  }),
  output: z.object({ ok: z.literal(true), task: claimedRowSchema.nullable() }),
  annotations: adds("Claim the next task"),
  grant: "work",
  deadlineMs: claimDeadline,

  async run(input, context) {
    const target = targetOf({ ...input, peer_id: "" });
    if (input.peer_id !== "") await context.heartbeat(target, input.peer_id, input.clock ?? undefined);
    const types = (input.supported_task_types ?? []).map((type) => type.trim()).filter((type) => type !== "");
    const request = {
      workerId: input.worker_id,
      types,
      limit: 1,
      waitMs: input.wait_s * 1000,
      ...(input.lease_s !== undefined && { leaseMs: input.lease_s * 1000 }),
    };
    const [claimed] = await context.queue(target).claim(request, { signal: context.signal });
    return { ok: true, task: claimed === undefined ? null : claimedRow(claimed) };
  },
});
