/** What an error means to whoever started the command: a message and an exit code. */
import { type ErrorFacts, errorFacts } from "../errors.ts";

/** The exit codes of `mcpp`. */
export const EXIT = {
  ok: 0,
  /** Wrong usage, and everything that has no code of its own. */
  other: 1,
  taskFailed: 2,
  unreachable: 4,
  toolFailed: 5,
  timeout: 6,
  interrupted: 130,
  terminated: 143,
} as const;

/** The exit codes in words, for help and reference. */
export const EXIT_TEXTS: readonly (readonly [number, string])[] = [
  [EXIT.ok, "done"],
  [EXIT.other, "wrong usage, an unknown task id, or an error without a code of its own"],
  [EXIT.taskFailed, "the task or workflow run failed or was cancelled"],
  [EXIT.unreachable, "the node, peer or server could not be reached"],
  [EXIT.toolFailed, "the tool reported an error, is not there, or does not take these arguments"],
  [EXIT.timeout, "not done in time; a task lives on, and the command that waits on is printed"],
  [EXIT.interrupted, "interrupted (SIGINT)"],
  [EXIT.terminated, "terminated (SIGTERM)"],
];

/** The exit code for an error. */
export function exitCodeOf(error: unknown): number {
  const { code, failureClass } = errorFacts(error);
  if (code === "E_TASK_FAILED" || code === "E_RUN_FAILED") return EXIT.taskFailed;
  if (code === "E_TOOL_FAILED") return EXIT.toolFailed;
  if (failureClass === "timeout") return EXIT.timeout;
  if (failureClass === "unavailable" && code !== "E_STORE_FULL") return EXIT.unreachable;
  return failureClass === "cancelled" ? EXIT.interrupted : EXIT.other;
}

/** An error as people read it: what happened, then what to do about it. */
export function errorText(error: unknown): string {
  const { message, hint, code } = errorFacts(error);
  const lines = [message, ...(hint ? [`  hint: ${hint}`] : [])];
  // A defect is reported with its place; what was thrown on purpose says enough.
  if (code === "E_INTERNAL" && error instanceof Error && error.stack) lines.push(error.stack);
  return lines.join("\n");
}

/** An error as `--json` prints it. The names are those of the MCP tools' failures. */
export interface FailureJson {
  readonly ok: false;
  readonly error: string;
  readonly error_code: string;
  readonly retryable: boolean;
  readonly hint?: string | undefined;
}

/** An error in the shape of {@link FailureJson}. */
export function failureJson(error: unknown): FailureJson {
  const { code, message, hint, failureClass }: ErrorFacts = errorFacts(error);
  const retryable = failureClass === "busy" || failureClass === "timeout" || failureClass === "unavailable";
  return { ok: false, error: message, error_code: code, retryable, hint };
}
