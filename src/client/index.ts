/** The MCP client. */
export {
  type CallToolOptions,
  type Client,
  type ClientOptions,
  DEFAULT_CALL_TIMEOUT_MS,
  DEFAULT_RETRIES,
  openClient,
} from "./client.ts";
export {
  type Mount,
  type MountedTool,
  type Mounts,
  type MountsOptions,
  type MountStatus,
  openMounts,
} from "./mounts.ts";
export { targetName } from "./target-name.ts";
export {
  type ProgressListener,
  textOf,
  type ToolCallOptions,
  type ToolInfo,
  type ToolResult,
} from "./tool.ts";
