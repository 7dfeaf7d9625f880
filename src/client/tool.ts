/** What a client gets to see of a server's tools. */
import type { CallToolResult, Tool } from "@modelcontextprotocol/client";

/** A tool as its server lists it: name, description, schemas, annotations. */
export type ToolInfo = Tool;

/** What a tool gave: content, perhaps structured, and whether it says that it failed. */
export type ToolResult = CallToolResult;

/** Hears how far a call is: what is done, of how much (if known), and a word about it. */
export type ProgressListener = (done: number, total?: number, message?: string) => void;

/** Options of one call. */
export interface ToolCallOptions {
  /** Gives the call up; the server is told. */
  readonly signal?: AbortSignal | undefined;
  /** How long the call may take in all, with its retries. */
  readonly timeoutMs?: number | undefined;
  /** Is told how far the call is, if the tool tells. */
  readonly onProgress?: ProgressListener | undefined;
}

/** The text of a result, its parts joined by line ends; "" if it has none. */
export function textOf(result: ToolResult): string {
  const parts = result.content ?? [];
  return parts.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n");
}
