/** Where a step may run, as its tags say. */
import { isP2pOnly, parseTags } from "../tags.ts";
import type { Workflow, WorkflowStep } from "../definition/workflow.ts";

/**
 * Where a step's task may run: only on nodes of the peer-to-peer network, there if possible, by way of GitHub, or
 * wherever there is a worker.
 */
export type Placement = "p2p-only" | "p2p-preferred" | "github" | "anywhere";

/** The placement of a step: its own tags, and those of its workflow. What never leaves the network wins. */
export function placementOf(step: Pick<WorkflowStep, "tags">, workflow: Pick<Workflow, "tags">): Placement {
  const tags = parseTags([...(step.tags ?? []), ...(workflow.tags ?? [])]);
  if (isP2pOnly(tags)) return "p2p-only";
  if (tags.includes("p2p-eligible")) return "p2p-preferred";
  return tags.includes("github-api") ? "github" : "anywhere";
}
