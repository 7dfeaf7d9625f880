import * as z from "zod";
import { type JsonObject, jsonObject } from "../../content/json.ts";
import { reads } from "../annotations.ts";
import { remoteFields } from "../taskqueue/target.ts";
import { defineTool, type Tool } from "../tool.ts";
import { runIdField, workflowsAt } from "./target.ts";

/** Says why a run and its steps are where they are. */
export const workflowExplain: Tool = defineTool({
  name: "workflow_explain",
  description: "Say for each step of a workflow run who has it and why, and why it waits or failed.",
  input: z.strictObject({ run_id: runIdField, ...remoteFields }),
  output: z.object({
    ok: z.literal(true),
    run_id: z.string(),
    state: z.string(),
    why: z.string(),
    steps: z.array(jsonObject).readonly(),
  }),
  annotations: reads("Explain a workflow run"),
  grant: "observe",

  async run({ run_id: id, ...hints }, context) {
    const { signal } = context;
    const { runId, state, why, steps } = await workflowsAt(hints, context).explain(id, { signal });
    const rows = steps.map((step): JsonObject => ({ ...step }));
    return { ok: true, run_id: runId, state, why, steps: rows } as const;
  },
});
