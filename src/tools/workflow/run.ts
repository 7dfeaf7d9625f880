import * as z from "zod";
import { jsonObject } from "../../content/json.ts";
import { MAX_NAME_CHARS } from "../../task/task.ts";
import { adds } from "../annotations.ts";
import { remoteFields, targetOf } from "../taskqueue/target.ts";
import { defineTool, type Tool } from "../tool.ts";
import { waitDeadlineMs, waitField } from "./target.ts";

/** Starts a workflow. */
export const workflowRun: Tool = defineTool({
  name: "workflow_run",
  description:
    "Run a durable workflow: steps that become tasks on the network, with dependencies, fan-out and approvals. Survives restarts of every node.",
  input: z.strictObject({
    workflow: z
      .union([jsonObject, z.string()])
      .describe(
        "The workflow, {name, steps: [{id, task, payload, depends_on…}]}, or its text in YAML or JSON",
      ),
    inputs: jsonObject.optional().describe("Values of its inputs"),
    idempotency_key: z
      .string()
      .min(1)
      .max(MAX_NAME_CHARS)
      .optional()
      .describe("The same key gives the same run"),
    wait_s: waitField,
    ...remoteFields,
  }),
  output: z.object({
    ok: z.literal(true),
    run_id: z.string(),
    created: z.boolean(),
    peer_id: z.string(),
    state: z.string(),
    output: z.unknown().optional(),
    error: z.unknown().optional(),
  }),
  annotations: adds("Run a workflow"),
  grant: "submit",
  deadlineMs: waitDeadlineMs,

  async run({ workflow, inputs, idempotency_key: idempotencyKey, wait_s: waitS, ...hints }, context) {
    const target = targetOf(hints);
    const { signal } = context;
    const flows = context.workflows(target);
    const peerId = await context.peerIdOf(target);
    const { runId, created } = await flows.run({ workflow, inputs, idempotencyKey }, { signal });
    const receipt = { ok: true, run_id: runId, created, peer_id: peerId } as const;
    if (waitS === 0) return { ...receipt, state: "running" };
    const { state, output, error } = await flows.wait(runId, { timeoutMs: waitS * 1000 }, { signal });
    return { ...receipt, state, ...(output !== undefined && { output }), ...(error && { error }) };
  },
});
