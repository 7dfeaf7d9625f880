/** A run as it is shown. */
import { jsonBytes } from "../../content/json.ts";
import type { Run } from "./state.ts";
import type { StepRun } from "./step-run.ts";
import type { RunRow } from "./store.ts";
import type { ItemCounts, RunView, StepView } from "./workflows.ts";

/** A result with more bytes of JSON is not shown but its size is; the output of the run always is. */
export const MAX_SHOWN_RESULT_BYTES = 16_384;

/** What is shown of a run. */
export function runView(row: RunRow, run: Run): RunView {
  return {
    ...row,
    // The log may have grown since the row was read.
    state: run.state,
    length: run.length,
    updatedAtMs: run.updatedAtMs,
    startedBy: run.startedBy,
    inputs: run.inputs,
    steps: [...run.steps.values()].map(stepView),
    ...(run.output !== undefined && { output: run.output }),
    ...(run.error && { error: run.error }),
  };
}

function stepView(step: StepRun): StepView {
  const { step: definition, state, units, question, error, why } = step;
  return {
    id: definition.id,
    state,
    attempts: units.reduce((most, { attempt }) => Math.max(most, attempt), 0),
    ...(definition.task !== undefined && { task: definition.task }),
    ...(question !== undefined && { question }),
    ...(step.items && { items: itemCounts(step) }),
    ...(state === "completed" && shownResult(step.result)),
    ...(error && { error }),
    ...(why !== undefined && { why }),
  };
}

/** How far the items of a step are. */
export function itemCounts({ units, over, failures, open }: StepRun): ItemCounts {
  return { total: units.length, completed: over - failures, failed: failures, open };
}

function shownResult(result: unknown): Pick<StepView, "result" | "resultBytes"> {
  const bytes = jsonBytes(result);
  return bytes <= MAX_SHOWN_RESULT_BYTES ? { result } : { resultBytes: bytes };
}
