/** Where a step may run, as its tags say. */
import { type Placement, placementOf } from "../placement.ts";
import { parseTags } from "../tags.ts";
import type { Workflow, WorkflowStep } from "../definition/workflow.ts";

/** The placement of a step: its own tags, and those of its workflow. */
export function placementOfStep(
  step: Pick<WorkflowStep, "tags">,
  workflow: Pick<Workflow, "tags">,
): Placement {
  return placementOf(parseTags([...(step.tags ?? []), ...(workflow.tags ?? [])]));
}
