/**
 * Every error that is thrown on purpose.
 *
 * `code` is the stable name that goes over the wire and that callers test, also when the error
 * happened on another node: there it arrives as a {@link RemoteError} with the same code.
 */
import { type ErrorFacts, type FailureClass, McpError } from "./errors/mcp-error.ts";

export { type ErrorFacts, type FailureClass, isFailureClass, McpError } from "./errors/mcp-error.ts";
export {
  ConductorLostError,
  ExpressionError,
  problemText,
  RunConflictError,
  RunFailedError,
  RunNotFoundError,
  RunStateError,
  WorkflowInvalidError,
  type WorkflowProblem,
} from "./errors/flow.ts";
export {
  StoreClosedError,
  StoreCorruptError,
  StoreFailedError,
  StoreFullError,
  StoreLockedError,
  StoreReadOnlyError,
  StoreVersionError,
} from "./errors/store.ts";
export { StoreAccessError, StoreTimeoutError, StoreUnavailableError } from "./errors/store-server.ts";
export { WorkFailedError } from "./errors/work.ts";

type Hint = { readonly hint?: string | undefined };

/** An argument, message or file has the wrong shape or a value that is not allowed. */
export class InvalidInputError extends McpError {
  override readonly name = "InvalidInputError";
  readonly code = "E_INVALID_INPUT";
  readonly failureClass = "invalid";
}

/** A configuration value is wrong. Names the setting as it was written, or what it is about, and what is allowed. */
export class ConfigError extends McpError {
  override readonly name = "ConfigError";
  readonly code = "E_CONFIG";
  readonly failureClass = "invalid";

  /**
   * @param setting - what is wrong: `--port`, `MCPP_PORT`, `/path/config.toml: port`, or a thing such as `the identity file`
   * @param origin - where that is from; undefined if `setting` says so itself
   */
  constructor(setting: string, origin: string | undefined, allowed: string, options?: ErrorOptions & Hint) {
    super(`${setting}${origin === undefined ? "" : ` (from ${origin})`} ${allowed}`, options);
  }
}

/** The caller lacks the grant that this needs. */
export class DeniedError extends McpError {
  override readonly name = "DeniedError";
  readonly code = "E_DENIED";
  readonly failureClass = "denied";

  constructor(caller: string, grant: string, options?: ErrorOptions) {
    super(`${caller} lacks the grant '${grant}'`, {
      ...options,
      hint: "configure a shared token on both nodes, or put the caller's peer id on the allow-list of the node it calls",
    });
  }
}

/** A task id that this queue does not know. */
export class TaskNotFoundError extends McpError {
  override readonly name = "TaskNotFoundError";
  readonly code = "E_TASK_NOT_FOUND";
  readonly failureClass = "not-found";

  constructor(taskId: string) {
    super(`no task ${taskId} in this queue`, { hint: "ask the node that the task was submitted to" });
  }
}

/** The cache has no entry under the key that still holds. */
export class CacheMissError extends McpError {
  override readonly name = "CacheMissError";
  readonly code = "E_CACHE_MISS";
  readonly failureClass = "not-found";

  constructor(key: string) {
    super(`no entry '${key}' in the cache`);
  }
}

/** The lease that a worker acts under has ended: expired, released, cancelled or taken over. */
export class LeaseLostError extends McpError {
  override readonly name = "LeaseLostError";
  readonly code = "E_LEASE_LOST";
  readonly failureClass = "lost";

  constructor(taskId: string, token: number) {
    super(`the lease ${token} of task ${taskId} is no longer in force`, {
      hint: "drop the work: another worker has it, or the task has ended",
    });
  }
}

/** A task was to be ended without naming the lease, where that does not tell which claim is meant. */
export class LeaseTokenRequiredError extends McpError {
  override readonly name = "LeaseTokenRequiredError";
  readonly code = "E_LEASE_TOKEN_REQUIRED";
  readonly failureClass = "invalid";

  /** @param why - as a clause. Default: it was claimed more than once */
  constructor(taskId: string, why: string = "it has been claimed more than once") {
    super(`task ${taskId} is ended only by who names the claim: ${why}`, {
      hint: "pass the lease_token that the claim returned",
    });
  }
}

/** The task has ended, so it cannot be changed any more. */
export class TaskFinishedError extends McpError {
  override readonly name = "TaskFinishedError";
  readonly code = "E_TASK_FINISHED";
  readonly failureClass = "conflict";

  constructor(taskId: string, state: string) {
    super(`task ${taskId} is already ${state}`);
  }
}

/** A task that was waited for has ended without success. */
export class TaskFailedError extends McpError {
  override readonly name = "TaskFailedError";
  readonly code = "E_TASK_FAILED";
  readonly failureClass = "internal";

  constructor(taskId: string, state: string, why: string, options?: ErrorOptions & Hint) {
    super(`task ${taskId} has ${state}: ${why}`, options);
  }
}

/** An idempotency key was used before, for different work. */
export class IdempotencyConflictError extends McpError {
  override readonly name = "IdempotencyConflictError";
  readonly code = "E_IDEMPOTENCY_CONFLICT";
  readonly failureClass = "conflict";
  /** The task that the key belongs to. */
  readonly taskId: string;

  constructor(key: string, taskId: string) {
    super(`the idempotency key '${key}' belongs to task ${taskId}, which is different work`, {
      hint: "use a new key for new work",
    });
    this.taskId = taskId;
  }
}

/** Too much is under way; nothing was begun. */
export class BusyError extends McpError {
  override readonly name = "BusyError";
  readonly code = "E_BUSY";
  readonly failureClass = "busy";
}

/** Something was not done within its deadline. It may still have happened. */
export class DeadlineError extends McpError {
  override readonly name = "DeadlineError";
  readonly code = "E_TIMEOUT";
  readonly failureClass = "timeout";
}

/** A server takes nothing more for now and says when to ask again. Nothing was begun. */
export class ServerBusyError extends McpError {
  override readonly name = "ServerBusyError";
  readonly code = "E_BUSY";
  readonly failureClass = "busy";
  /** How long the server asks to be left alone, in milliseconds. */
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number, options?: ErrorOptions) {
    super(`${message}: ask again in ${retryAfterMs} ms`, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The caller, or the node at shutdown, asked for the end. */
export class CancelledError extends McpError {
  override readonly name = "CancelledError";
  readonly code = "E_CANCELLED";
  readonly failureClass = "cancelled";
}

/** The node is shutting down and takes no new work. */
export class ShuttingDownError extends McpError {
  override readonly name = "ShuttingDownError";
  readonly code = "E_SHUTTING_DOWN";
  readonly failureClass = "unavailable";
}

/** No peer, server or process could be reached at the target. Nothing was sent. */
export class UnreachableError extends McpError {
  override readonly name = "UnreachableError";
  readonly code = "E_UNREACHABLE";
  readonly failureClass = "unavailable";
}

/** The connection broke while a request was under way. It may have been carried out. */
export class ConnectionLostError extends McpError {
  override readonly name = "ConnectionLostError";
  readonly code = "E_CONNECTION_LOST";
  readonly failureClass = "unavailable";
}

/** A peer did not answer in time. The request may still have been carried out. */
export class PeerTimeoutError extends McpError {
  override readonly name = "PeerTimeoutError";
  readonly code = "E_PEER_TIMEOUT";
  readonly failureClass = "timeout";

  constructor(peerId: string, timeoutMs: number, options?: ErrorOptions) {
    super(`peer ${peerId} did not answer within ${timeoutMs} ms`, options);
  }
}

/** What answered is not the peer that was asked for, or could not prove that it knows the shared token. */
export class PeerIdentityError extends McpError {
  override readonly name = "PeerIdentityError";
  readonly code = "E_PEER_IDENTITY";
  readonly failureClass = "denied";
}

/** A frame or message breaks the wire's rules; the stream that carried it is closed. */
export class ProtocolError extends McpError {
  override readonly name = "ProtocolError";
  readonly code = "E_PROTOCOL";
  readonly failureClass = "invalid";
}

/** A message is larger than the wire carries; nothing was sent. */
export class MessageTooLargeError extends McpError {
  override readonly name = "MessageTooLargeError";
  readonly code = "E_MESSAGE_TOO_LARGE";
  readonly failureClass = "invalid";
}

/** The peer or server does not have the method. */
export class MethodNotFoundError extends McpError {
  override readonly name = "MethodNotFoundError";
  readonly code = "E_METHOD_NOT_FOUND";
  readonly failureClass = "not-found";

  constructor(method: string) {
    super(`no method '${method}' here`);
  }
}

/** The peer speaks an older protocol, which has no word for this. Nothing was done. */
export class NotSupportedByPeerError extends McpError {
  override readonly name = "NotSupportedByPeerError";
  readonly code = "E_NOT_SUPPORTED_BY_PEER";
  readonly failureClass = "invalid";

  constructor(peerId: string, what: string, options?: ErrorOptions & Hint) {
    super(`peer ${peerId} speaks an older protocol, which cannot do this: ${what}`, options);
  }
}

/** No tool of that name, here or on the mounted servers. */
export class ToolNotFoundError extends McpError {
  override readonly name = "ToolNotFoundError";
  readonly code = "E_TOOL_NOT_FOUND";
  readonly failureClass = "not-found";

  constructor(tool: string, options?: ErrorOptions & Hint) {
    super(`no tool '${tool}' here`, options);
  }
}

/** A tool ran and reported that it failed. */
export class ToolFailedError extends McpError {
  override readonly name = "ToolFailedError";
  readonly code = "E_TOOL_FAILED";
  readonly failureClass = "internal";
}

/** An error that happened on another node, with the code it had there. */
export class RemoteError extends McpError {
  override readonly name = "RemoteError";
  readonly code: string;
  readonly failureClass: FailureClass;
  /** The number of a JSON-RPC error that came without a code of ours, as no node of ours sends it. */
  readonly foreignCode: number | undefined;
  /** Whether a task that fails with this is not to be tried again, whatever the failure class. Default false. */
  readonly final: boolean;

  constructor(
    facts: ErrorFacts,
    options?: ErrorOptions & {
      readonly foreignCode?: number | undefined;
      readonly final?: boolean | undefined;
    },
  ) {
    super(facts.message, { cause: options?.cause, hint: facts.hint });
    this.code = facts.code;
    this.failureClass = facts.failureClass;
    this.foreignCode = options?.foreignCode;
    this.final = options?.final ?? false;
  }
}

/** Whether `error` has the stable code `code`, wherever it happened. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof McpError && error.code === code;
}

/** Any thrown value as plain data. What was not thrown on purpose is `E_INTERNAL`, an abort `E_CANCELLED`. */
export function errorFacts(error: unknown): ErrorFacts {
  if (error instanceof McpError) {
    return { code: error.code, failureClass: error.failureClass, message: error.message, hint: error.hint };
  }
  // A nursery reports its failures as a group; a group of one says what that one says.
  if (error instanceof AggregateError && error.errors.length === 1) return errorFacts(error.errors[0]);
  if (error instanceof Error && error.name === "AbortError") {
    return { code: "E_CANCELLED", failureClass: "cancelled", message: error.message };
  }
  if (error instanceof Error && error.name === "NurseryClosedError") {
    return { code: "E_SHUTTING_DOWN", failureClass: "unavailable", message: "this is shutting down" };
  }
  if (error instanceof Error && error.name === "TimeoutError") {
    return { code: "E_TIMEOUT", failureClass: "timeout", message: error.message };
  }
  return {
    code: "E_INTERNAL",
    failureClass: "internal",
    message: error instanceof Error ? error.message : String(error),
  };
}
