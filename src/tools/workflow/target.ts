/** Arguments that the tools of workflow runs share, and runs in the shape of their answers. */
import * as z from "zod";
import type { JsonObject } from "../../content/json.ts";
import { DEFAULT_RPC_TIMEOUT_MS } from "../../peer/rpc.ts";
import { runIdSchema } from "../../workflow/run/schemas.ts";
import type { RunRow } from "../../workflow/run/store.ts";
import type { RunView, Workflows } from "../../workflow/run/workflows.ts";
import { type TargetHints, targetOf } from "../taskqueue/target.ts";
import type { ToolContext } from "../tool.ts";

/** The run that a tool is about. */
export const runIdField: z.ZodType<string> = runIdSchema.describe(
  "Id of the run, as workflow_run returned it",
);

/** A wait of at most so many seconds: hosts give up on a silent call after a minute. */
export const MAX_TOOL_WAIT_S = 50;

/** How long a tool may wait before it answers. */
export const waitField: z.ZodDefault<z.ZodNumber> = z
  .number()
  .min(0)
  .max(MAX_TOOL_WAIT_S)
  .default(0)
  .describe("Wait so many seconds for the run's end before answering");

/** The deadline of a tool that waits. */
export function waitDeadlineMs({ wait_s: waitS }: { readonly wait_s: number }): number {
  return waitS * 1000 + DEFAULT_RPC_TIMEOUT_MS;
}

/** The workflows that the arguments mean. */
export function workflowsAt(hints: TargetHints, context: ToolContext): Workflows {
  return context.workflows(targetOf(hints));
}

/** A run as lists show it. Times are seconds since 1970. */
export function runRow(run: RunRow): JsonObject {
  return {
    run_id: run.id,
    workflow: run.workflow,
    state: run.state,
    waits_for_approval: run.asking > 0,
    events: run.length,
    created_at: run.createdAtMs / 1000,
    updated_at: run.updatedAtMs / 1000,
    conductor: run.conductor ?? null,
  };
}

/** A run with its steps. */
export function runObject(run: RunView): JsonObject {
  const { steps, inputs, output, error, startedBy } = run;
  return {
    ...runRow(run),
    started_by: startedBy,
    inputs,
    steps,
    ...(output !== undefined && { output }),
    ...(error && { error }),
  };
}
