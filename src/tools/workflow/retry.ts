import * as z from "zod";
import { MAX_ID_CHARS } from "../../workflow/definition/limits.ts";
import { adds } from "../annotations.ts";
import { remoteFields } from "../taskqueue/target.ts";
import { defineTool, type Tool } from "../tool.ts";
import { runIdField, workflowsAt } from "./target.ts";

/** Goes on with a run that did not complete. */
export const workflowRetry: Tool = defineTool({
  name: "workflow_retry",
  description:
    "Go on with an ended workflow run: failed steps and those after them run again, completed ones keep their results.",
  input: z.strictObject({
    run_id: runIdField,
    from: z
      .string()
      .max(MAX_ID_CHARS)
      .default("")
      .describe("A completed step to run again as well, with all after it"),
    ...remoteFields,
  }),
  output: z.object({ ok: z.literal(true), run_id: z.string() }),
  annotations: adds("Retry a workflow run"),
  grant: "submit",

  async run({ run_id: runId, from, ...hints }, context) {
    await workflowsAt(hints, context).retry(runId, from || undefined, { signal: context.signal });
    return { ok: true, run_id: runId };
  },
});
