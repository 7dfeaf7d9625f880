import * as z from "zod";
import { jsonObject, type JsonObject } from "../../content/json.ts";
import { InvalidInputError } from "../../errors.ts";
import { DEFAULT_LEASE_MS, type Lease, type TaskQueue } from "../../task/queue.ts";
import { ends } from "../annotations.ts";
import { defineTool, type Tool, type UnfencedOutcome } from "../tool.ts";
import { deadlineOf, targetFields, targetOf, timeoutField } from "./target.ts";

const statusField = z
  .preprocess(
    (value) => (typeof value === "string" ? value.trim().toLowerCase() : value),
    z.enum(["completed", "failed", "cancelled"]),
  )
  .default("completed")
  .describe("How it ended; default completed");

/** Ends a claimed task. */
export const completeTask: Tool = defineTool({
  name: "p2p_taskqueue_complete_task",
  description:
    "End a task that you claimed, with its result or error. Pass the lease_token of the claim; a worker whose lease was lost is refused and must drop the work.",
  input: z.strictObject({
    task_id: z.string().trim().min(1).describe("Id of the claimed task"),
    status: statusField,
    result: jsonObject.nullish().describe("What the work produced"),
    error: z.string().nullish().describe("Why it failed or is cancelled"),
    lease_token: z
      .int()
      .optional()
      .describe("The claim's lease_token; only the first claim of a task of this node may go without"),
    retry: z.boolean().default(false).describe("With status failed: try again if attempts are left"),
    ...targetFields,
    timeout_s: timeoutField(),
  }),
  output: z.object({ ok: z.literal(true), task_id: z.string(), peer_id: z.string() }),
  annotations: ends("End a claimed task"),
  // Who may only work may not end what others hold: without a lease, cancelling is the submitter's right.
  grant: ({ status, lease_token: token }) =>
    status === "cancelled" && token === undefined ? "submit" : "work",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const { task_id: taskId, status, error, lease_token: token } = input;
    const target = targetOf(input);
    const queue = context.queue(target);
    const { signal } = context;
    const lease = token === undefined ? undefined : { taskId, token };
    if (status === "cancelled") {
      // A cancel takes no lease, so renewing is what proves that the caller still holds it.
      if (lease !== undefined) await queue.renew(lease, DEFAULT_LEASE_MS, { signal });
      await queue.cancel(taskId, error || "cancelled by its worker", { signal });
    } else {
      const outcome = outcomeOf(status, input.result ?? undefined, error ?? "", input.retry);
      if (lease === undefined) await context.completeUnfenced(target, taskId, outcome);
      else await settle(queue, lease, outcome, signal);
    }
    return { ok: true, task_id: taskId, peer_id: await context.peerIdOf(target) };
  },
});

/** @throws {@link InvalidInputError} if a completed task is given an error */
function outcomeOf(
  status: "completed" | "failed",
  result: JsonObject | undefined,
  error: string,
  retry: boolean,
): UnfencedOutcome {
  if (status === "completed") {
    if (error !== "")
      throw new InvalidInputError("error: goes with status failed or cancelled, not completed");
    return { kind: "completed", result: result ?? {} };
  }
  const message = error || "the worker gave no reason";
  return {
    kind: "failed",
    failure: {
      error: { code: "E_TASK_FAILED", message, failureClass: "internal" },
      retry,
      ...(result !== undefined && { result }),
    },
  };
}

async function settle(
  queue: TaskQueue,
  lease: Lease,
  outcome: UnfencedOutcome,
  signal: AbortSignal,
): Promise<void> {
  if (outcome.kind === "completed") await queue.complete(lease, outcome.result, { signal });
  else await queue.fail(lease, outcome.failure, { signal });
}
