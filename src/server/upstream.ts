/** The MCP servers that are mounted on this node, as the server room sees them. Who runs them is the wiring's matter. */
import type { CallToolResult, Tool } from "@modelcontextprotocol/server";

/** A tool of a mounted server, as that server describes it; its schemas are passed on as they are. */
export type UpstreamTool = Tool;

/** What goes with a forwarded call. */
export interface UpstreamCall {
  readonly signal: AbortSignal;
  /** Told how far the call is, as the mounted server reports it. */
  readonly onProgress: ProgressListener;
}

/** Hears how far a call is: what is done, of how much (if known), and a word about it. */
export type ProgressListener = (done: number, total?: number, message?: string) => void;

/** The tools of all mounted servers together. */
export interface Upstream {
  /** What they offer now, under the names by which they are called here. */
  listTools(): readonly UpstreamTool[];
  /** Forwards a call. @throws if the server is gone, or answers with an error */
  call(name: string, args: Readonly<Record<string, unknown>>, call: UpstreamCall): Promise<CallToolResult>;
  /** Tells `listener` whenever {@link listTools} would answer differently. @returns ends that */
  onChanged(listener: () => void): () => void;
}
