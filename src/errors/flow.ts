/** What can be wrong with a workflow and with asking for one of its runs. */
import { McpError } from "./mcp-error.ts";

/** One thing that is wrong with a workflow. */
export interface WorkflowProblem {
  /** What kind of thing: `syntax`, `schema`, `duplicate-id`, `unknown-reference`, `cycle`, `orphan`, `expression`, `limit`. */
  readonly code: string;
  readonly message: string;
  /** Where, as names and indexes from the top of the workflow, joined by points. */
  readonly path: string;
  /** Line in the file, from 1; absent if it came from no file. */
  readonly line?: number | undefined;
  /** Column in that line, from 1. */
  readonly column?: number | undefined;
  /** What to do about it. */
  readonly hint?: string | undefined;
}

/** More problems than this in one message only bury the first; all are in {@link WorkflowInvalidError.problems}. */
const MAX_PROBLEMS_SHOWN = 5;

/** A workflow that cannot be run as it is written. */
export class WorkflowInvalidError extends McpError {
  override readonly name = "WorkflowInvalidError";
  readonly code = "E_WORKFLOW_INVALID";
  readonly failureClass = "invalid";
  /** All that was found, in the order of the file. */
  readonly problems: readonly WorkflowProblem[];

  /** @param source - the file's name, or another word for where the workflow is from */
  constructor(source: string, problems: readonly WorkflowProblem[]) {
    const shown = problems.slice(0, MAX_PROBLEMS_SHOWN).map((problem) => problemText(source, problem));
    const more =
      problems.length > MAX_PROBLEMS_SHOWN ? [`and ${problems.length - MAX_PROBLEMS_SHOWN} more`] : [];
    super([...shown, ...more].join("\n"), { hint: problems[0]?.hint });
    this.problems = problems;
  }
}

/** A problem in one line, as compilers write it: `file:line:column: code: message`. */
export function problemText(source: string, { code, message, path, line, column }: WorkflowProblem): string {
  const place = line === undefined ? source : `${source}:${line}:${column ?? 1}`;
  return `${place}: ${code}: ${path === "" ? "" : `${path}: `}${message}`;
}

/** An expression of a workflow that has no value, e.g. because a result lacks the member that it names. */
export class ExpressionError extends McpError {
  override readonly name = "ExpressionError";
  readonly code = "E_EXPRESSION";
  readonly failureClass = "invalid";
}

/** A run id that this node's store does not know. */
export class RunNotFoundError extends McpError {
  override readonly name = "RunNotFoundError";
  readonly code = "E_RUN_NOT_FOUND";
  readonly failureClass = "not-found";

  constructor(runId: string) {
    super(`no workflow run ${runId} here`, { hint: "ask the node that the run was started at" });
  }
}

/** What was asked of a run does not go with the state that it is in. */
export class RunStateError extends McpError {
  override readonly name = "RunStateError";
  readonly code = "E_RUN_STATE";
  readonly failureClass = "conflict";
}

/** A run that was waited for has ended without success. */
export class RunFailedError extends McpError {
  override readonly name = "RunFailedError";
  readonly code = "E_RUN_FAILED";
  readonly failureClass = "internal";

  constructor(runId: string, state: string, why: string) {
    super(`workflow run ${runId} has ${state}: ${why}`, {
      hint: `mcpp flow explain ${runId} shows each step; mcpp flow retry ${runId} goes on from what failed`,
    });
  }
}

/** Somebody else has written to a run's log first; whoever reads on and decides anew may write again. */
export class RunConflictError extends McpError {
  override readonly name = "RunConflictError";
  readonly code = "E_RUN_CONFLICT";
  readonly failureClass = "conflict";

  constructor(runId: string, after: number) {
    super(`the log of run ${runId} does not end at ${after} any more`);
  }
}

/** Another process conducts the run now. */
export class ConductorLostError extends McpError {
  override readonly name = "ConductorLostError";
  readonly code = "E_CONDUCTOR_LOST";
  readonly failureClass = "lost";

  constructor(runId: string) {
    super(`run ${runId} is conducted by another process now`);
  }
}
