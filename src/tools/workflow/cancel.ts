import * as z from "zod";
import { wordsSchema } from "../../workflow/run/schemas.ts";
import { ends } from "../annotations.ts";
import { remoteFields } from "../taskqueue/target.ts";
import { defineTool, type Tool } from "../tool.ts";
import { runIdField, workflowsAt } from "./target.ts";

/** Ends a run that nobody needs any more. */
export const workflowCancel: Tool = defineTool({
  name: "workflow_cancel",
  description: "Cancel a workflow run: its tasks are cancelled, steps that have not begun never do.",
  input: z.strictObject({
    run_id: runIdField,
    reason: wordsSchema.default("").describe("Why, for its log"),
    ...remoteFields,
  }),
  output: z.object({ ok: z.literal(true), run_id: z.string() }),
  annotations: ends("Cancel a workflow run"),
  grant: "submit",

  async run({ run_id: runId, reason, ...hints }, context) {
    await workflowsAt(hints, context).cancel(runId, reason, { signal: context.signal });
    return { ok: true, run_id: runId };
  },
});
