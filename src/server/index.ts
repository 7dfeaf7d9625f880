/** The MCP server. */
export type { CallToolResult, ListToolsResult } from "@modelcontextprotocol/server";
export { type CallFacts, type ToolCallOptions, UPSTREAM_DEADLINE_MS } from "./dispatch.ts";
export { createMcpServer, type McpServer, type McpServerOptions, type PlainTool } from "./server.ts";
export type { ProgressListener, Upstream, UpstreamCall, UpstreamTool } from "./upstream.ts";
