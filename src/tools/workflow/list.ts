import * as z from "zod";
import { jsonObject } from "../../content/json.ts";
import { MAX_ID_CHARS } from "../../workflow/definition/limits.ts";
import { RUN_STATES } from "../../workflow/run/events.ts";
import { DEFAULT_RUN_LIMIT, MAX_RUN_LIMIT } from "../../workflow/run/limits.ts";
import { reads } from "../annotations.ts";
import { remoteFields } from "../taskqueue/target.ts";
import { defineTool, type Tool } from "../tool.ts";
import { runRow, workflowsAt } from "./target.ts";

/** Shows a page of runs. */
export const workflowList: Tool = defineTool({
  name: "workflow_list",
  description: "List workflow runs, newest first; with waits_for_approval, those that wait for an answer.",
  input: z.strictObject({
    state: z
      .enum(["", ...RUN_STATES])
      .default("")
      .describe("Only runs in this state; empty: all"),
    workflow: z.string().max(MAX_ID_CHARS).default("").describe("Only runs of the workflow of this name"),
    waits_for_approval: z.boolean().optional().describe("Only runs that wait for an answer, or only others"),
    limit: z.int().min(1).max(MAX_RUN_LIMIT).default(DEFAULT_RUN_LIMIT).describe("Page size"),
    cursor: z.string().optional().describe("next_cursor of the page before"),
    ...remoteFields,
  }),
  output: z.object({ ok: z.literal(true), runs: z.array(jsonObject), next_cursor: z.string().nullable() }),
  annotations: reads("List workflow runs"),
  grant: "observe",

  async run({ state, workflow, waits_for_approval: asking, limit, cursor, ...hints }, context) {
    const filter = {
      limit,
      cursor,
      asking,
      ...(state !== "" && { state }),
      ...(workflow !== "" && { workflow }),
    };
    const { runs, nextCursor } = await workflowsAt(hints, context).list(filter, { signal: context.signal });
    return { ok: true, runs: runs.map(runRow), next_cursor: nextCursor ?? null };
  },
});
