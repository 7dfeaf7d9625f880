/** Where work may run, as its tags say (contract.md 4.6). */
import { bypassesGithub, isP2pOnly, type WorkflowTag } from "./tags.ts";

/**
 * `p2p-only`: on nodes of the network and nowhere else · `p2p-preferred`: on nodes, on GitHub only if it must ·
 * `github`: on GitHub; the node that keeps it gives it to nobody else · `anywhere`: the tags do not say.
 */
export type Placement = "p2p-only" | "p2p-preferred" | "github" | "anywhere";

/** Where work with these tags may run. The stricter word wins: `p2p-only`, then `p2p-eligible`, then `github-api`. */
export function placementOf(tags: readonly WorkflowTag[]): Placement {
  if (isP2pOnly(tags)) return "p2p-only";
  if (bypassesGithub(tags)) return "p2p-preferred";
  return tags.includes("github-api") ? "github" : "anywhere";
}

/** Whether another node than the one that keeps the work may have it. */
export function mayTravel(placement: Placement): boolean {
  return placement !== "github";
}

/** Whether it may be handed to GitHub, if no node takes it. */
export function mayLeave(placement: Placement): boolean {
  return placement !== "p2p-only";
}
