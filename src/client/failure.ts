/** Errors of the SDK and of servers, as errors of ours. */
import {
  ProtocolError as JsonRpcError,
  SdkError,
  SdkErrorCode,
  SdkHttpError,
} from "@modelcontextprotocol/client";
import * as z from "zod";
import { isJsonObject } from "../content/json.ts";
import {
  ConnectionLostError,
  DeadlineError,
  type FailureClass,
  InvalidInputError,
  isFailureClass,
  McpError,
  MethodNotFoundError,
  ProtocolError,
  RemoteError,
  ToolFailedError,
  ToolNotFoundError,
  UnreachableError,
} from "../errors.ts";
import { textOf, type ToolResult } from "./tool.ts";

/** JSON-RPC 2.0, section 5.1. */
const METHOD_NOT_FOUND = -32_601;
const INVALID_PARAMS = -32_602;

/** What a caller can do about the codes of servers of ours that tell no failure class; others count as internal. */
const CLASS_OF_CODE: Readonly<Record<string, FailureClass>> = {
  E_INVALID_INPUT: "invalid",
  E_CONFIG: "invalid",
  E_PROTOCOL: "invalid",
  E_MESSAGE_TOO_LARGE: "invalid",
  E_LEASE_TOKEN_REQUIRED: "invalid",
  E_DENIED: "denied",
  E_PEER_IDENTITY: "denied",
  E_TASK_NOT_FOUND: "not-found",
  E_TOOL_NOT_FOUND: "not-found",
  E_METHOD_NOT_FOUND: "not-found",
  E_LEASE_LOST: "lost",
  E_TASK_FINISHED: "conflict",
  E_IDEMPOTENCY_CONFLICT: "conflict",
  E_BUSY: "busy",
  E_STORE_LOCKED: "busy",
  E_TIMEOUT: "timeout",
  E_PEER_TIMEOUT: "timeout",
  E_CANCELLED: "cancelled",
  E_UNREACHABLE: "unavailable",
  E_CONNECTION_LOST: "unavailable",
  E_SHUTTING_DOWN: "unavailable",
  E_STORE_CLOSED: "unavailable",
  E_STORE_FULL: "unavailable",
};

/** What a request was about, for messages. */
export interface Asked {
  readonly target: string;
  /** The tool that was called, if one was. */
  readonly tool?: string | undefined;
}

/** Any failure of a request to `asked.target` as an error of ours, with what failed as its cause. */
export function failureOf(error: unknown, asked: Asked): McpError {
  for (let inner: unknown = error; inner instanceof Error; inner = inner.cause) {
    if (inner instanceof McpError) return inner;
  }
  const { target } = asked;
  const cause = { cause: error };
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof SdkHttpError) return httpFailure(error, target);
  if (error instanceof JsonRpcError) return rpcFailure(error, asked);
  if (error instanceof SdkError) {
    if (error.code === SdkErrorCode.RequestTimeout)
      return new DeadlineError(`${target} did not answer in time`, cause);
    if (NOT_SENT.has(error.code))
      return new UnreachableError(`${target} cannot be reached: ${message}`, cause);
    if (error.code === SdkErrorCode.ConnectionClosed)
      return new ConnectionLostError(`the connection to ${target} broke`, cause);
    return new ProtocolError(`${target}: ${message}`, cause);
  }
  // The SDK's own word for "there is no transport".
  if (message === "Not connected") return new UnreachableError(`${target} is not connected`, cause);
  return new ConnectionLostError(`the request to ${target} failed: ${message}`, cause);
}

/** Codes by which the SDK says that a request never left. */
const NOT_SENT: ReadonlySet<string> = new Set([
  SdkErrorCode.NotConnected,
  SdkErrorCode.EraNegotiationFailed,
  SdkErrorCode.SendFailed,
]);

/** Whether nothing can have happened at the server because of the request that failed so. */
export function nothingBegun(failure: McpError): boolean {
  return failure.code === "E_UNREACHABLE" || failure.code === "E_BUSY";
}

function httpFailure(error: SdkHttpError, target: string): McpError {
  const cause = { cause: error };
  const said = `${target} answered HTTP ${error.status}`;
  // The session is gone, or the endpoint: either way the request was not looked at (MCP, session management).
  if (error.status === 404)
    return new UnreachableError(`${said}: the session has ended, or there is no MCP endpoint`, cause);
  if (error.status === 401 || error.status === 403) {
    return new RemoteError(
      {
        code: "E_DENIED",
        failureClass: "denied",
        message: said,
        hint: "pass the token that the server expects",
      },
      cause,
    );
  }
  if (error.status >= 500) return new ConnectionLostError(said, cause);
  return new ProtocolError(`${said}: ${error.message}`, cause);
}

function rpcFailure(error: JsonRpcError, { target, tool }: Asked): McpError {
  const cause = { cause: error };
  const facts = factsSchema.safeParse(error.data);
  if (facts.success) return remoteError(facts.data, error.message, cause);
  if (error.code === METHOD_NOT_FOUND) return new MethodNotFoundError(error.message);
  if (error.code !== INVALID_PARAMS)
    return new RemoteError(
      { code: "E_INTERNAL", failureClass: "internal", message: `${target}: ${error.message}` },
      cause,
    );
  const unknownTool = tool !== undefined && /unknown tool|tool .*not found/i.test(error.message);
  return unknownTool
    ? new ToolNotFoundError(tool, cause)
    : new InvalidInputError(`${target}: ${error.message}`, cause);
}

const factsSchema = z.object({
  error_code: z.string(),
  failure_class: z.string().optional(),
  error: z.string().optional(),
  hint: z.string().optional(),
});

function remoteError(
  facts: z.infer<typeof factsSchema>,
  message: string,
  options?: ErrorOptions,
): RemoteError {
  const { error_code: code, error, hint, failure_class: told } = facts;
  const failureClass = isFailureClass(told) ? told : (CLASS_OF_CODE[code] ?? "internal");
  return new RemoteError({ code, failureClass, message: error ?? message, hint }, options);
}

/**
 * What a result says about its failure: the `error_code` in its structured content, or in text that is JSON, else
 * ToolFailedError with the tool's text.
 */
export function toolFailure(tool: string, result: ToolResult): McpError {
  const text = textOf(result);
  const facts = factsSchema.safeParse(result.structuredContent ?? jsonOf(text));
  const message = text === "" ? `tool '${tool}' failed without saying why` : text;
  return facts.success ? remoteError(facts.data, message) : new ToolFailedError(message);
}

/** The structured content of a result; its text as JSON where the server is too old for that; else `{ content }`. */
export function structuredOf(result: ToolResult): Readonly<Record<string, unknown>> {
  const value: unknown = result.structuredContent ?? jsonOf(textOf(result));
  return isJsonObject(value) ? value : { content: result.content };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
