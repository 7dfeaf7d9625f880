/** What a failed call to a queue means for the worker. */
import { errorFacts, McpError, RemoteError, WorkFailedError } from "../errors.ts";
import type { Failure } from "../task/queue.ts";

/** `lost`: the task is not ours any more. `refused`: the queue will never take this. `passing`: try again later. */
export type QueueVerdict = "lost" | "refused" | "passing";

const LOST: ReadonlySet<string> = new Set(["E_LEASE_LOST", "E_TASK_NOT_FOUND", "E_TASK_FINISHED"]);

/** What to do after a queue rejected a call. */
export function verdictOf(error: unknown): QueueVerdict {
  const { code, failureClass } = errorFacts(error);
  if (LOST.has(code)) return "lost";
  return failureClass === "invalid" ? "refused" : "passing";
}

/** Failures that the same request runs into again, whoever makes it. */
const PERMANENT: ReadonlySet<string> = new Set(["invalid", "denied", "not-found", "conflict", "lost"]);

/** What a handler's error means for its task. Only what is the request's own fault, or final, is for good. */
export function failureOf(error: unknown): Failure {
  const { code, failureClass, message } = errorFacts(error);
  if (error instanceof WorkFailedError)
    return {
      error: { code, message, failureClass },
      retry: error.again,
      retryAfterMs: error.againAfterMs,
      result: error.result,
    };
  // A tool that is missing now may be mounted elsewhere, or again.
  const hopeless = error instanceof McpError && PERMANENT.has(failureClass) && code !== "E_TOOL_NOT_FOUND";
  const permanent = hopeless || (error instanceof RemoteError && error.final);
  return { error: { code, message, failureClass }, retry: !permanent };
}
