/** The pure functions of assignment, for code that has to agree with other nodes, the old system's among them. */
export { type Candidate, ownerOf, type RankedCandidate, rankOwners } from "./assignment.ts";
export {
  type ClockJson,
  MAX_CLOCK_ENTRIES,
  MAX_CLOCK_ID_CHARS,
  MAX_COUNTER_DIGITS,
  merkleClockRoot,
  merkleClockText,
  parseClock,
  VectorClock,
} from "./clock.ts";
export { defineWorkflow, parseWorkflow } from "./definition/parse.ts";
export type {
  Workflow,
  WorkflowInput,
  WorkflowStep,
  WorkflowStepText,
  WorkflowText,
} from "./definition/workflow.ts";
export { combinedHash, hammingDistance, peerHash, taskHash, workflowTaskHash } from "./hashes.ts";
export { LegacyOrder } from "./legacy-order.ts";
export { legacyOwner } from "./legacy-owner.ts";
export { mayLeave, mayTravel, type Placement, placementOf } from "./placement.ts";
export {
  bypassesGithub,
  isP2pOnly,
  MAX_WORKFLOW_FILE_CHARS,
  parseTag,
  parseTags,
  priorityOfTags,
  tagsInWorkflowFile,
  WORKFLOW_TAGS,
  type WorkflowTag,
} from "./tags.ts";
