/** The root of all errors that are thrown on purpose, and what they are as plain data. */

/** What a caller can do about a failure, whatever exactly failed. */
export type FailureClass =
  | "invalid" // the request is wrong and will stay wrong: mend it
  | "denied" // the caller may not do this: ask for a grant
  | "not-found" // what was named does not exist
  | "conflict" // the state forbids it: read the state first
  | "lost" // the caller no longer holds what it acts on: start over
  | "busy" // too much at once: try again later
  | "timeout" // no answer in time: it may still have happened
  | "unavailable" // nobody is there: try again later
  | "cancelled" // somebody asked for the end
  | "internal"; // a defect, here or there

const FAILURE_CLASSES: readonly string[] = [
  "invalid",
  "denied",
  "not-found",
  "conflict",
  "lost",
  "busy",
  "timeout",
  "unavailable",
  "cancelled",
  "internal",
] satisfies readonly FailureClass[];

/** Whether `value` is a failure class. */
export function isFailureClass(value: unknown): value is FailureClass {
  return typeof value === "string" && FAILURE_CLASSES.includes(value);
}

/** Failure classes that may go away by themselves. */
const TRANSIENT: ReadonlySet<FailureClass> = new Set(["busy", "timeout", "unavailable"]);

/** An error as plain data: what logs, wires and exit codes are made of. */
export interface ErrorFacts {
  readonly code: string;
  readonly failureClass: FailureClass;
  readonly message: string;
  readonly hint?: string | undefined;
}

/** The root of all errors that are thrown on purpose. */
export abstract class McpError extends Error {
  abstract readonly code: string;
  abstract readonly failureClass: FailureClass;
  /** What the reader can do about it, if that is known. */
  readonly hint: string | undefined;

  constructor(message: string, options: ErrorOptions & { readonly hint?: string | undefined } = {}) {
    super(message, options);
    this.hint = options.hint;
  }

  /** Whether the same request may succeed later without any change. */
  get retryable(): boolean {
    return TRANSIENT.has(this.failureClass);
  }
}
