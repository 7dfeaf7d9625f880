/** What it means when an endpoint fails: an error of ours, and whether and when to ask again. */
import { errorFacts, McpError, WorkFailedError } from "../../errors.ts";
import { AnswerTooLargeError } from "./endpoint-fetch.ts";
import { retryAfterMs } from "./retry-after.ts";

/** More of what a server says is noise. */
const MAX_SAID_CHARS = 500;

/** A failed request. */
export interface EndpointFailure {
  readonly error: McpError;
  /** Whether the same request may succeed soon. */
  readonly again: boolean;
  /** When to ask again, as the server wishes, in milliseconds from now. */
  readonly afterMs?: number | undefined;
  /** Whether the endpoint may be gone. */
  readonly doubtful: boolean;
}

/** Who failed. */
export interface Failed {
  /** The endpoint's name. */
  readonly name: string;
  /** Never appears in what is made here. */
  readonly key: string | undefined;
  readonly model: string;
  readonly nowMs: number;
}

/** What `error`, thrown by a request to an endpoint, means. */
export function endpointFailure(error: unknown, failed: Failed): EndpointFailure {
  if (error instanceof AnswerTooLargeError) return broken(failed, error.message, error);
  if (error instanceof McpError) return { error, again: false, doubtful: false };
  if (error instanceof SyntaxError) return broken(failed, "the answer is not what it should be", error);
  const status = memberOf(error, "status");
  if (typeof status === "number") return refused(error, status, failed);
  // What an endpoint tells in the middle of a stream has no status.
  if (memberOf(error, "error") !== undefined && memberOf(error, "error") !== null) return told(error, failed);
  const facts = { code: "E_INFERENCE_UNREACHABLE", failureClass: "unavailable" } as const;
  const message = `the endpoint ${failed.name} cannot be reached, or broke off: ${said(reasonOf(error), failed)}`;
  return {
    error: new WorkFailedError({ ...facts, message }, { again: true, cause: error }),
    again: true,
    doubtful: true,
  };
}

/** An answer that breaks the rules. Another attempt may get a better one; this worker does not ask again. */
export function broken(failed: Pick<Failed, "name">, why: string, cause?: unknown): EndpointFailure {
  const facts = { code: "E_INFERENCE_PROTOCOL", failureClass: "internal" } as const;
  const message = `the endpoint ${failed.name} does not keep to the protocol: ${why}`;
  return {
    error: new WorkFailedError({ ...facts, message }, { again: true, cause }),
    again: false,
    doubtful: false,
  };
}

/** A stream that ended before the text did. */
export function brokenOff(failed: Pick<Failed, "name">): EndpointFailure {
  const facts = { code: "E_INFERENCE_UNREACHABLE", failureClass: "unavailable" } as const;
  const message = `the endpoint ${failed.name} broke off in the middle of its answer`;
  return { error: new WorkFailedError({ ...facts, message }, { again: true }), again: true, doubtful: true };
}

/** No model of the name. */
export function noModel(model: string, where: string): WorkFailedError {
  return new WorkFailedError({
    code: "E_MODEL_NOT_FOUND",
    failureClass: "not-found",
    message: `no model '${model}' ${where}`,
    hint: "mcpp peers --capabilities shows which node has which models",
  });
}

/** A failure that {@link endpointFailure} has made already, thrown as one. */
export class EndpointFailedError extends Error {
  override readonly name = "EndpointFailedError";
  readonly failure: EndpointFailure;

  constructor(failure: EndpointFailure) {
    super(failure.error.message, { cause: failure.error });
    this.failure = failure;
  }
}

function refused(error: unknown, status: number, failed: Failed): EndpointFailure {
  const message = `the endpoint ${failed.name} answered ${status}: ${said(reasonOf(error), failed)}`;
  if (status === 429 || status >= 500) {
    const afterMs = retryAfterMs(headerOf(error, "retry-after"), failed.nowMs);
    const facts =
      status === 429
        ? ({ code: "E_BUSY", failureClass: "busy" } as const)
        : ({ code: "E_INFERENCE_UNAVAILABLE", failureClass: "unavailable" } as const);
    return {
      error: new WorkFailedError({ ...facts, message }, { again: true, againAfterMs: afterMs, cause: error }),
      again: true,
      afterMs,
      doubtful: status !== 429,
    };
  }
  const final = (code: string, failureClass: "denied" | "not-found" | "invalid"): EndpointFailure => ({
    error: new WorkFailedError({ code, failureClass, message }, { cause: error }),
    again: false,
    doubtful: failureClass !== "invalid",
  });
  if (status === 401 || status === 403) return final("E_INFERENCE_DENIED", "denied");
  if (status === 404) return final("E_MODEL_NOT_FOUND", "not-found");
  return final("E_INFERENCE_REFUSED", "invalid");
}

function told(error: unknown, failed: Failed): EndpointFailure {
  const facts = { code: "E_INFERENCE_FAILED", failureClass: "internal" } as const;
  const message = `the endpoint ${failed.name} failed in the middle of its answer: ${said(reasonOf(error), failed)}`;
  return {
    error: new WorkFailedError({ ...facts, message }, { again: true, cause: error }),
    again: false,
    doubtful: false,
  };
}

/** Words of a server, cut, and without the key if it repeats it. */
function said(text: string, { key }: Failed): string {
  const open = key === undefined ? text : text.replaceAll(key, "[hidden]");
  return open.length > MAX_SAID_CHARS ? `${open.slice(0, MAX_SAID_CHARS)}…` : open;
}

function reasonOf(error: unknown): string {
  const { message } = errorFacts(error);
  const cause = memberOf(error, "cause");
  const deeper = cause instanceof Error ? memberOf(cause, "cause") : undefined;
  const innermost = deeper instanceof Error ? deeper : cause;
  return innermost instanceof Error ? `${message} (${innermost.message})` : message;
}

function headerOf(error: unknown, name: string): string | null | undefined {
  const headers = memberOf(error, "headers");
  return headers instanceof Headers ? headers.get(name) : undefined;
}

function memberOf(error: unknown, name: string): unknown {
  return typeof error === "object" && error !== null ? Reflect.get(error, name) : undefined;
}
