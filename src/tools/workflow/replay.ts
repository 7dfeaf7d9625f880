import * as z from "zod";
import { reads } from "../annotations.ts";
import { remoteFields } from "../taskqueue/target.ts";
import { defineTool, type Tool } from "../tool.ts";
import { runIdField, workflowsAt } from "./target.ts";

/** Decides a run again from its log. */
export const workflowReplay: Tool = defineTool({
  name: "workflow_replay",
  description:
    "Take every decision of a workflow run again from its event log and compare: identical is true if all are equal.",
  input: z.strictObject({ run_id: runIdField, ...remoteFields }),
  output: z.object({
    ok: z.literal(true),
    run_id: z.string(),
    identical: z.boolean(),
    events: z.int(),
    decisions: z.int(),
    divergence: z.unknown().optional(),
  }),
  annotations: reads("Replay a workflow run"),
  grant: "observe",

  async run({ run_id: id, ...hints }, context) {
    const { runId, ...report } = await workflowsAt(hints, context).replay(id, { signal: context.signal });
    return { ok: true, run_id: runId, ...report } as const;
  },
});
