/** Answers of the HTTP endpoint that are not MCP results. */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";

/** Sends `body` as JSON. Does nothing if an answer has begun or the client is gone. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  sendJsonText(response, status, JSON.stringify(body), headers);
}

/** {@link sendJson} of what is JSON text already. */
export function sendJsonText(
  response: ServerResponse,
  status: number,
  text: string,
  headers: OutgoingHttpHeaders = {},
): void {
  if (response.headersSent || response.destroyed) return;
  // Text, not bytes: node:http then sends head and body in one piece.
  const length = Buffer.byteLength(text);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": length,
    ...headers,
  });
  response.end(text);
}

/** An error as JSON-RPC says it. */
export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** JSON-RPC leaves -32000 to -32019 to implementations; the SDK uses the first for what goes wrong in HTTP. */
export const HTTP_ERROR_CODE = -32_000;
/** JSON-RPC: the body is no JSON. */
export const PARSE_ERROR_CODE = -32_700;
/** MCP 2026-07-28: a header is missing or contradicts the body. */
export const HEADER_MISMATCH_CODE = -32_020;
/** MCP 2026-07-28: the named revision is not served. */
export const UNSUPPORTED_VERSION_CODE = -32_022;
/** JSON-RPC: no such method. */
export const METHOD_NOT_FOUND_CODE = -32_601;

/** Sends a JSON-RPC error. @param id - of the request, or null if it has none that can be read */
export function sendRpcError(
  response: ServerResponse,
  status: number,
  error: RpcError,
  id: string | number | null = null,
  headers: OutgoingHttpHeaders = {},
): void {
  sendJson(response, status, { jsonrpc: "2.0", id, error }, headers);
}

/** The id of a JSON-RPC request; null if the body has none. */
export function idOf(body: unknown): string | number | null {
  if (typeof body !== "object" || body === null || !("id" in body)) return null;
  return typeof body.id === "string" || typeof body.id === "number" ? body.id : null;
}
