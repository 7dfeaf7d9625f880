import * as z from "zod";
import { stepIdSchema, wordsSchema } from "../../workflow/run/schemas.ts";
import { ends } from "../annotations.ts";
import { remoteFields } from "../taskqueue/target.ts";
import { defineTool, type Tool } from "../tool.ts";
import { runIdField, workflowsAt } from "./target.ts";

/** Answers the question of an approval step. */
export const workflowApprove: Tool = defineTool({
  name: "workflow_approve",
  description:
    "Answer an approval step of a workflow run, yes or no. Ask the person first: the answer is theirs.",
  input: z.strictObject({
    run_id: runIdField,
    step: stepIdSchema.describe("Id of the step that waits"),
    approved: z.boolean().describe("True for yes; false makes the step fail"),
    comment: wordsSchema.default("").describe("In words, for the log and the steps after it"),
    value: z.unknown().optional().describe("Anything the steps after it are to know"),
    ...remoteFields,
  }),
  output: z.object({ ok: z.literal(true), run_id: z.string() }),
  annotations: ends("Answer an approval"),
  grant: "submit",

  async run({ run_id: runId, step, approved, comment, value, ...hints }, context) {
    const answer = { step, approved, comment, ...(value !== undefined && { value }) };
    await workflowsAt(hints, context).answer(runId, answer, { signal: context.signal });
    return { ok: true, run_id: runId };
  },
});
