/** What the two kinds of messages on a stream look like: calls between nodes, and MCP. */
import * as z from "zod";
import type { JsonObject } from "../content/json.ts";
import { type ErrorFacts, type FailureClass, RemoteError } from "../errors.ts";

/** The one protocol id of Profile E. */
export const MCP_P2P_PROTOCOL = "/mcp+p2p/1.0.0";

/** The protocol of the Python system's first versions: newline-terminated JSON, one request a stream. */
export const TASK_QUEUE_PROTOCOL = "/ipfs-datasets/task-queue/1.0.0";

/** Before the name of a method of the node-to-node table. */
export const RPC_PREFIX = "mcp++/";

/** Before the ids of our calls, so that their answers can be told from those of MCP. */
export const RPC_ID_PREFIX = "rpc:";

/** Takes back a request; the same for calls and for MCP. */
export const CANCELLED = "notifications/cancelled";

/** An id that a request may have. */
export type RequestId = string | number;

/** The id of a request or an answer; undefined if it has none that JSON-RPC allows. */
export function idOf(message: JsonObject): RequestId | undefined {
  const id = message["id"];
  return typeof id === "string" || typeof id === "number" ? id : undefined;
}

const CLASS_CODES: Readonly<Partial<Record<FailureClass, number>>> = {
  invalid: -32602,
  internal: -32603,
  denied: -32001,
};

/** An error as JSON-RPC wants it, with our own code in `data`. */
export function errorAnswer(id: RequestId, facts: ErrorFacts): JsonObject {
  const code = facts.code === "E_METHOD_NOT_FOUND" ? -32601 : (CLASS_CODES[facts.failureClass] ?? -32000);
  const { message, failureClass, hint } = facts;
  return { jsonrpc: "2.0", id, error: { code, message, data: { code: facts.code, failureClass, hint } } };
}

const failureClass = z.enum([
  ...(["invalid", "denied", "not-found", "conflict", "lost"] as const),
  ...(["busy", "timeout", "unavailable", "cancelled", "internal"] as const),
]);

const wireError = z.object({
  code: z.number(),
  message: z.string(),
  data: z.object({ code: z.string(), failureClass, hint: z.string().optional() }).optional().catch(undefined),
});

/** The error of an answer as one that can be thrown. */
export function remoteError(error: unknown): RemoteError {
  const parsed = wireError.safeParse(error);
  if (!parsed.success) {
    return new RemoteError({
      code: "E_PROTOCOL",
      failureClass: "internal",
      message: "the peer sent an error without shape",
    });
  }
  const { code, message, data } = parsed.data;
  if (data) return new RemoteError({ ...data, message });
  const foreign = { foreignCode: code };
  if (code === -32601)
    return new RemoteError({ code: "E_METHOD_NOT_FOUND", failureClass: "not-found", message }, foreign);
  const facts = {
    code: "E_REMOTE",
    failureClass: code === -32602 ? "invalid" : "internal",
    message,
  } as const;
  return new RemoteError(facts, foreign);
}

/** Method not found, and a frame that could not be read or was too large for the other dialect. */
const NOT_OURS: ReadonlySet<number | undefined> = new Set([-32601, -32003]);

/**
 * Whether a call was refused by a peer that has none of our methods, and so has done nothing.
 *
 * A node of ours gives its own code with every error. The initialize-first dialect, which has the same protocol id,
 * answers whatever comes before `initialize` with `init_required`, and then does not read on.
 */
export function isOtherDialect(error: unknown): boolean {
  if (!(error instanceof RemoteError)) return false;
  return (
    NOT_OURS.has(error.foreignCode) || (error.foreignCode === -32000 && error.message === "init_required")
  );
}
