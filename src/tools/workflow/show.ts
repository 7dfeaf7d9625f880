import * as z from "zod";
import { jsonObject } from "../../content/json.ts";
import { reads } from "../annotations.ts";
import { remoteFields } from "../taskqueue/target.ts";
import { defineTool, type Tool } from "../tool.ts";
import { runIdField, runObject, waitDeadlineMs, waitField, workflowsAt } from "./target.ts";

/** Shows a run with its steps. */
export const workflowShow: Tool = defineTool({
  name: "workflow_show",
  description: "Show a workflow run with its steps, results and errors; with wait_s, once it has ended.",
  input: z.strictObject({
    run_id: runIdField,
    wait_s: waitField,
    after: z
      .int()
      .min(0)
      .optional()
      .describe("With wait_s: answer also once the run has more events than this"),
    events_after: z
      .int()
      .min(0)
      .optional()
      .describe("Show events of its log, too, after the one of this number"),
    ...remoteFields,
  }),
  output: z.object({ ok: z.literal(true), run: jsonObject, events: z.array(z.unknown()).optional() }),
  annotations: reads("Show a workflow run"),
  grant: "observe",
  deadlineMs: waitDeadlineMs,

  async run({ run_id: runId, wait_s: waitS, after, events_after: eventsAfter, ...hints }, context) {
    const flows = workflowsAt(hints, context);
    const { signal } = context;
    const run = await flows.wait(runId, { timeoutMs: waitS * 1000, after }, { signal });
    const shown = { ok: true, run: runObject(run) } as const;
    if (eventsAfter === undefined) return shown;
    return { ...shown, events: [...(await flows.events(runId, eventsAfter, { signal }))] };
  },
});
