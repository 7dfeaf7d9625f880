/** All that is public of mcplusplus, named one by one. */
export { callTool, connect, type Connectable, type ConnectOptions } from "./connect.ts";
export {
  type LoadedConfig,
  loadConfig,
  type LoadOptions,
  type MountConfig,
  type NodeConfig,
} from "./config.ts";
export { createNode, type Node, type NodeOptions } from "./node.ts";
export { VERSION } from "./version.ts";
export { type Client, type CallToolOptions, type ToolInfo, type ToolResult } from "./client/index.ts";
export type {
  CacheHit,
  CacheStats,
  Compute,
  Computed,
  ComputeOptions,
  ReplicaStats,
  SharedCache,
} from "./cache/cache.ts";
export type {
  ClaimedTask,
  ClaimRequest,
  Failure,
  Lease,
  QueueStats,
  SubmitReceipt,
  TaskFilter,
  TaskNote,
  TaskPage,
  TaskQueue,
  WaitOutcome,
} from "./task/queue.ts";
export type { LogLine, NewTask, Task, TaskError, TaskEvent, TaskState, TaskSummary } from "./task/task.ts";
export type {
  Answer,
  RunExplanation,
  RunReceipt,
  RunRequest,
  RunView,
  RunWait,
  StepExplanation,
  StepTask,
  StepView,
  Workflows,
} from "./workflow/run/workflows.ts";
export type { ReplayReport } from "./workflow/run/replay.ts";
export type { RunEvent, RunState } from "./workflow/run/events.ts";
export type { RunFilter, RunPage, RunRow } from "./workflow/run/store.ts";
export { type ErrorFacts, errorFacts, type FailureClass, hasCode, McpError, RemoteError } from "./errors.ts";
export { type Clock, systemClock } from "./clock.ts";
export { createLogger, type Logger, type LogLevel, silentLogger } from "./logger.ts";
