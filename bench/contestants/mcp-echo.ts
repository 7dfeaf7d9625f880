/** What every MCP server answers here, and the requests that it is sent. */

/** The revision of the stateless era. */
export const MODERN = "2026-07-28";
/** The newest revision that mcp-lite speaks. */
export const LEGACY = "2025-06-18";

/** A request, but for its id. */
export interface RequestShape {
  readonly headers: Readonly<Record<string, string>>;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** A call of the tool `name` with one text argument, in either era. */
export function toolCall(
  era: "modern" | "legacy",
  name: string,
  args: Readonly<Record<string, string>>,
): RequestShape {
  const headers = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": era === "modern" ? MODERN : LEGACY,
  };
  if (era === "legacy") return { headers, method: "tools/call", params: { name, arguments: args } };
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1" },
  };
  return {
    headers: { ...headers, "mcp-method": "tools/call", "mcp-name": name },
    method: "tools/call",
    params: { _meta, name, arguments: args },
  };
}
