/** The tools of a node, one file each. To add one: its file, and a line here. */
import { doctor } from "./peers/doctor.ts";
import { listPeers } from "./peers/list-peers.ts";
import { why } from "./peers/why.ts";
import { cacheDelete } from "./taskqueue/cache-delete.ts";
import { cacheGet } from "./taskqueue/cache-get.ts";
import { cacheHas } from "./taskqueue/cache-has.ts";
import { cacheSet } from "./taskqueue/cache-set.ts";
import { cacheStats } from "./taskqueue/cache-stats.ts";
import { callTool } from "./taskqueue/call-tool.ts";
import { cancelTask } from "./taskqueue/cancel-task.ts";
import { claimNext } from "./taskqueue/claim-next.ts";
import { completeTask } from "./taskqueue/complete-task.ts";
import { getTask } from "./taskqueue/get-task.ts";
import { heartbeat } from "./taskqueue/heartbeat.ts";
import { listTasks } from "./taskqueue/list-tasks.ts";
import { releaseTask } from "./taskqueue/release-task.ts";
import { renewTask } from "./taskqueue/renew-task.ts";
import { status } from "./taskqueue/status.ts";
import { submitDockerGithub } from "./taskqueue/submit-docker-github.ts";
import { submitDockerHub } from "./taskqueue/submit-docker-hub.ts";
import { submit } from "./taskqueue/submit.ts";
import { waitTask } from "./taskqueue/wait-task.ts";
import { workflowApprove } from "./workflow/approve.ts";
import { workflowCancel } from "./workflow/cancel.ts";
import { checkWorkflowTags } from "./workflow/check-workflow-tags.ts";
import { workflowExplain } from "./workflow/explain.ts";
import { getMerkleClock } from "./workflow/get-merkle-clock.ts";
import { getNextTask } from "./workflow/get-next-task.ts";
import { workflowList } from "./workflow/list.ts";
import { markTaskComplete } from "./workflow/mark-task-complete.ts";
import { workflowReplay } from "./workflow/replay.ts";
import { workflowRetry } from "./workflow/retry.ts";
import { workflowRun } from "./workflow/run.ts";
import { schedulerStatus } from "./workflow/scheduler-status.ts";
import { workflowShow } from "./workflow/show.ts";
import { submitTask } from "./workflow/submit-task.ts";
import { updatePeerState } from "./workflow/update-peer-state.ts";
import { taskResource } from "./taskqueue/resource.ts";
import { workflowResource } from "./workflow/resource.ts";
import type { ResourceKind } from "./resource.ts";
import type { Tool } from "./tool.ts";

export type { ResourceKind, ResourceLine } from "./resource.ts";
export {
  DEFAULT_DEADLINE_MS,
  defineTool,
  type PeerSearch,
  type Tool,
  type ToolAnnotations,
  type ToolCall,
  type ToolContext,
  type ToolDefinition,
  type UnfencedOutcome,
} from "./tool.ts";

/** All tools of a node, in the order in which they are listed. */
export const allTools: readonly Tool[] = [
  status,
  submit,
  waitTask,
  getTask,
  listTasks,
  cancelTask,
  callTool,
  workflowRun,
  workflowList,
  workflowShow,
  workflowCancel,
  workflowRetry,
  workflowApprove,
  workflowExplain,
  workflowReplay,
  listPeers,
  doctor,
  why,
  claimNext,
  renewTask,
  completeTask,
  releaseTask,
  heartbeat,
  cacheGet,
  cacheSet,
  cacheHas,
  cacheDelete,
  cacheStats,
  submitDockerHub,
  submitDockerGithub,
  schedulerStatus,
  submitTask,
  getNextTask,
  markTaskComplete,
  checkWorkflowTags,
  updatePeerState,
  getMerkleClock,
];

/** All kinds of resources of a node. */
export const allResources: readonly ResourceKind[] = [workflowResource, taskResource];

/** The tools of workflows and of the workflow scheduler. */
const WORKFLOW_TOOLS: readonly Tool[] = [
  workflowRun,
  workflowList,
  workflowShow,
  workflowCancel,
  workflowRetry,
  workflowApprove,
  workflowExplain,
  workflowReplay,
  schedulerStatus,
  submitTask,
  getNextTask,
  markTaskComplete,
  checkWorkflowTags,
  updatePeerState,
  getMerkleClock,
];

/** The tools that are about peers; all others but those of workflows are the task queue's. */
const PEER_TOOLS: readonly Tool[] = [listPeers, doctor, why];

/** Which groups of tools are offered. */
export interface OfferedGroups {
  /** Any at all. */
  readonly p2pTools: boolean;
  /** Those of the task queue. */
  readonly taskqueueTools: boolean;
  /** Those of the workflow scheduler. */
  readonly workflowTools: boolean;
}

/** The tools of the groups that are offered, in the order of {@link allTools}. */
export function offeredTools({ p2pTools, taskqueueTools, workflowTools }: OfferedGroups): readonly Tool[] {
  if (!p2pTools) return [];
  return allTools.filter((tool) => {
    if (WORKFLOW_TOOLS.includes(tool)) return workflowTools;
    return taskqueueTools || PEER_TOOLS.includes(tool);
  });
}

/** The resources that go with the tools that are offered. */
export function offeredResources({ p2pTools, taskqueueTools }: OfferedGroups): readonly ResourceKind[] {
  return p2pTools && taskqueueTools ? allResources : [];
}
