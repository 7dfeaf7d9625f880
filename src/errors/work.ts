/** The failure of a task's own work, as opposed to that of the machinery around it. */
import { type ErrorFacts, type FailureClass, McpError } from "./mcp-error.ts";

/** The work of a task was done and did not succeed, such as a program that ended with a code other than 0. */
export class WorkFailedError extends McpError {
  override readonly name = "WorkFailedError";
  readonly code: string;
  readonly failureClass: FailureClass;
  /** What the work produced before it failed. */
  readonly result: Readonly<Record<string, unknown>>;
  /** Whether another attempt is worth it. Default false: work that told its end is not done a second time. */
  readonly again: boolean;
  /** How long to wait before that, in milliseconds. Default: as the queue thinks fit. */
  readonly againAfterMs: number | undefined;

  constructor(
    facts: ErrorFacts,
    options: ErrorOptions & {
      readonly result?: Readonly<Record<string, unknown>> | undefined;
      readonly again?: boolean | undefined;
      readonly againAfterMs?: number | undefined;
    } = {},
  ) {
    super(facts.message, { cause: options.cause, hint: facts.hint });
    this.code = facts.code;
    this.failureClass = facts.failureClass;
    this.result = options.result ?? {};
    this.again = options.again ?? false;
    this.againAfterMs = options.againAfterMs;
  }
}
