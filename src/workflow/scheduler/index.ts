/** Which node works on which workflow task. */
export { gossipOf, takeGossip } from "./gossip.ts";
export { HOLD_MS, MAX_HELD } from "./held.ts";
export { type AssignedTask, Home, type HomeOptions, type Offer, type WorkflowHome } from "./home.ts";
export {
  ASKING_MS,
  MAX_GOSSIPED_MEMBERS,
  MAX_MEMBERS,
  type MemberFacts,
  Membership,
  type MembershipOptions,
  membersSchema,
} from "./membership.ts";
export { remoteHome, serveWorkflowMethods, workflowMethods } from "./methods.ts";
export { AFFINITY_WINDOW_MS, Judge, type JudgeOptions, type PolicyName, type Verdict } from "./policy.ts";
export {
  type Completion,
  type Delivery,
  type FarHome,
  type GivenTask,
  Scheduler,
  type SchedulerOptions,
} from "./scheduler.ts";
export { hashOf, MAX_TAGS, MAX_TASK_ID_CHARS, type WaitingTask, type WorkflowTask } from "./task.ts";
export { MAX_LOOKED_AT } from "./waiting.ts";
