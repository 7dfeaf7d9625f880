/** The refusals of old peers as errors of ours. */
import type { JsonObject } from "../../content/json.ts";
import {
  BusyError,
  type McpError,
  MessageTooLargeError,
  NotSupportedByPeerError,
  RemoteError,
} from "../../errors.ts";

const ASK_FOR_TOKEN =
  "the peer wants its shared token inside each message: allow that with --send-token-to-old-peers, and name the peer by its id";

/** An answer with `ok: false` as what to throw (contract of the Python system, section 2.4). */
export function refusalOf(peerId: string, answer: JsonObject): McpError {
  const { error, detail } = answer;
  const text = typeof error === "string" && error !== "" ? error : "the peer refused, and did not say why";
  const message = typeof detail === "string" && detail !== "" ? `${text}: ${detail}` : text;
  return refusal(peerId, text, message);
}

function refusal(peerId: string, error: string, message: string): McpError {
  switch (error) {
    case "unauthorized":
      return new RemoteError({ code: "E_DENIED", failureClass: "denied", message, hint: ASK_FOR_TOKEN });
    case "unknown_op":
      return new NotSupportedByPeerError(peerId, message);
    case "tools_disabled":
    case "cache_disabled":
      return new NotSupportedByPeerError(peerId, message, { hint: "it is switched off at the peer" });
    case "tool_not_found":
      return new RemoteError({ code: "E_TOOL_NOT_FOUND", failureClass: "not-found", message });
    case "frame_too_large":
      return new MessageTooLargeError(`peer ${peerId}: ${message}`);
    case "rate_limited":
      return new BusyError(`peer ${peerId}: ${message}`);
    default:
      return byWords(peerId, error, message);
  }
}

function byWords(peerId: string, error: string, message: string): McpError {
  if (error.startsWith("missing_") || error.startsWith("type_error") || error.startsWith("invalid_"))
    return new RemoteError({ code: "E_INVALID_INPUT", failureClass: "invalid", message });
  // Two writers met in its database (DuckDB); neither the first nor the last to be answered so has done anything.
  if (error.includes("TransactionContext Error")) return new BusyError(`peer ${peerId}: ${message}`);
  return new RemoteError({ code: "E_REMOTE", failureClass: "internal", message });
}
