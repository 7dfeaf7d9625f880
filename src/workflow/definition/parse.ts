/** Reads workflows: from values of code and JSON, and from text in YAML or JSON, whose problems have lines and columns. */
import type { Document, LineCounter } from "yaml";
import * as z from "zod";
import { InvalidInputError, WorkflowInvalidError, type WorkflowProblem } from "../../errors.ts";
import { MAX_DEFINITION_CHARS, MAX_YAML_ALIASES } from "./limits.ts";
import { type PlacedProblem, problemsOf } from "./validate.ts";
import { type Workflow, workflowSchema, type WorkflowText } from "./workflow.ts";

/**
 * A workflow from a value.
 *
 * @param source - where it is from, for messages. Default `workflow`
 * @throws WorkflowInvalidError with all problems
 */
export function readWorkflow(value: unknown, source: string = "workflow"): Workflow {
  const outcome = checked(value);
  if (outcome.workflow) return outcome.workflow;
  throw new WorkflowInvalidError(
    source,
    outcome.problems.map((problem) => ({ ...problem, path: pathText(problem.path) })),
  );
}

/**
 * A workflow written in code, checked.
 *
 * @throws WorkflowInvalidError with all problems
 */
export function defineWorkflow(workflow: WorkflowText): Workflow {
  return readWorkflow(workflow, workflow.name);
}

/**
 * A workflow from the text of a file, YAML or JSON. The parser of YAML is loaded only now.
 *
 * @param source - the file's name, for messages
 * @throws WorkflowInvalidError with all problems, each with its line and column
 */
export async function parseWorkflow(text: string, source: string = "workflow"): Promise<Workflow> {
  if (text.length > MAX_DEFINITION_CHARS) {
    const message = `a workflow file has at most ${MAX_DEFINITION_CHARS} characters`;
    throw new WorkflowInvalidError(source, [{ code: "limit", path: "", message }]);
  }
  const { LineCounter, parseDocument } = await import("yaml");
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    version: "1.2",
    prettyErrors: false,
  });
  const [broken] = document.errors;
  if (broken) throw new WorkflowInvalidError(source, [syntaxProblem(broken.message, broken.pos[0], lines)]);
  const outcome = checked(valueOf(document, source));
  if (outcome.workflow) return outcome.workflow;
  throw new WorkflowInvalidError(
    source,
    outcome.problems.map((problem) => located(problem, document, lines)),
  );
}

function syntaxProblem(message: string, offset: number, lines: LineCounter): WorkflowProblem {
  const { line, col: column } = lines.linePos(offset);
  return { code: "syntax", path: "", message, line, column };
}

function valueOf(document: Document, source: string): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_YAML_ALIASES });
  } catch (error) {
    // The library throws a plain error where aliases are used too often, or name nothing.
    const message = error instanceof Error ? error.message : String(error);
    throw new WorkflowInvalidError(source, [{ code: "limit", path: "", message }]);
  }
}

type Checked =
  | { readonly workflow: Workflow }
  | { readonly workflow?: undefined; readonly problems: readonly PlacedProblem[] };

function checked(value: unknown): Checked {
  const parsed = workflowSchema.safeParse(value);
  if (!parsed.success) return { problems: parsed.error.issues.flatMap(schemaProblems) };
  const workflow = plain(parsed.data);
  const problems = problemsOf(workflow);
  return problems.length > 0 ? { problems } : { workflow };
}

/** What is left of a workflow on its way through JSON: the same on every node, and in every log. */
function plain(workflow: Workflow): Workflow {
  const copy: unknown = JSON.parse(JSON.stringify(workflow));
  const parsed = workflowSchema.safeParse(copy);
  if (!parsed.success) throw new InvalidInputError("a workflow must be JSON", { cause: parsed.error });
  return parsed.data;
}

function schemaProblems(issue: z.core.$ZodIssue): readonly PlacedProblem[] {
  const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({
      code: "schema",
      path: [...path, key],
      message: "there is no such member",
    }));
  const code = issue.code === "too_big" && path.at(-1) === "steps" ? "limit" : "schema";
  return [{ code, path, message: issue.message }];
}

function located(problem: PlacedProblem, document: Document, lines: LineCounter): WorkflowProblem {
  const offset = offsetOf(problem.path, document);
  const { line, col: column } = lines.linePos(offset);
  return { ...problem, path: pathText(problem.path), line, column };
}

/** Where what `path` leads to begins in the file; where that is missing, its nearest owner. */
function offsetOf(path: readonly (string | number)[], document: Document): number {
  for (let length = path.length; length >= 0; length--) {
    const node: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    const start = startOf(node);
    if (start !== undefined) return start;
  }
  return 0;
}

const nodeSchema = z.looseObject({ range: z.tuple([z.number(), z.number(), z.number()]) });

function startOf(node: unknown): number | undefined {
  const parsed = nodeSchema.safeParse(node);
  return parsed.success ? parsed.data.range[0] : undefined;
}

function pathText(path: readonly (string | number)[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    return text === "" ? part : `${text}.${part}`;
  }, "");
}
