/** Which step comes before which. */
import { ExpressionError } from "../../errors.ts";
import type { Expression } from "./expression.ts";
import { expressionsIn, wholeExpression } from "./template.ts";
import type { Workflow, WorkflowStep } from "./workflow.ts";

/** The members of a step that have expressions as a whole; those of all others are `${{ }}` within values. */
const WHOLE = ["when", "for_each"] as const;
/** The members of a step that may have references within them. */
const WITHIN = ["payload", "model", "approval"] as const;

/** An expression of a step, and where it is. */
export interface StepExpression {
  readonly path: readonly (string | number)[];
  readonly expression: Expression;
}

type Wrong = (path: readonly (string | number)[], error: ExpressionError) => void;

/** All expressions of a step. @param wrong - is told of those that cannot be read */
export function stepExpressions(step: WorkflowStep, wrong: Wrong): readonly StepExpression[] {
  const whole = WHOLE.flatMap((member): readonly StepExpression[] => {
    const value = step[member];
    if (typeof value !== "string") return expressionsIn(value, [member], wrong);
    try {
      return [{ path: [member], expression: wholeExpression(value) }];
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      wrong([member], error);
      return [];
    }
  });
  return [...whole, ...WITHIN.flatMap((member) => expressionsIn(step[member], [member], wrong))];
}

/** The paths that an expression reads, outermost first. */
export function pathsIn(expression: Expression): readonly Extract<Expression, { kind: "path" }>[] {
  switch (expression.kind) {
    case "literal":
      return [];
    case "path":
      return [expression, ...expression.members.flatMap(pathsIn)];
    case "not":
      return pathsIn(expression.of);
    case "call":
      return expression.args.flatMap(pathsIn);
    case "both":
    case "either":
    case "compare":
      break;
  }
  return [...pathsIn(expression.left), ...pathsIn(expression.right)];
}

/** The step that a path names; undefined if it names none by a fixed name. */
export function stepNamedBy({ root, members }: Extract<Expression, { kind: "path" }>): string | undefined {
  const [first] = members;
  return root === "steps" && first?.kind === "literal" && typeof first.value === "string"
    ? first.value
    : undefined;
}

/** The steps that come before `step`: those it names, and those it refers to; each once, in that order. */
export function dependenciesOf(step: WorkflowStep): readonly string[] {
  const referred = stepExpressions(step, () => undefined).flatMap(({ expression }) =>
    pathsIn(expression).flatMap((path) => stepNamedBy(path) ?? []),
  );
  return [...new Set([...(step.depends_on ?? []), ...referred])];
}

/** The dependencies of every step, by its id. */
export function graphOf({ steps }: Pick<Workflow, "steps">): ReadonlyMap<string, readonly string[]> {
  return new Map(steps.map((step) => [step.id, dependenciesOf(step)]));
}

/** The first cycle, beginning and ending with the same step; undefined if there is none. */
export function cycleIn(graph: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const done = new Set<string>();
  for (const start of graph.keys()) {
    const cycle = cycleFrom(start, graph, done);
    if (cycle) return cycle;
  }
  return undefined;
}

/** Depth first, with a trail of its own, because a chain may have as many steps as there are. */
function cycleFrom(
  start: string,
  graph: ReadonlyMap<string, readonly string[]>,
  done: Set<string>,
): readonly string[] | undefined {
  const trail: { readonly id: string; next: number }[] = [{ id: start, next: 0 }];
  const open = new Set([start]);
  for (let last = trail.at(-1); last; last = trail.at(-1)) {
    const next = graph.get(last.id)?.[last.next++];
    if (next === undefined || done.has(last.id)) {
      done.add(last.id);
      open.delete(last.id);
      trail.pop();
    } else if (open.has(next)) {
      const ids = trail.map(({ id }) => id);
      return [...ids.slice(ids.indexOf(next)), next];
    } else if (graph.has(next) && !done.has(next)) {
      trail.push({ id: next, next: 0 });
      open.add(next);
    }
  }
  return undefined;
}

/** `from`, and all steps that come after one of them. */
export function withDescendants(
  from: Iterable<string>,
  graph: ReadonlyMap<string, readonly string[]>,
): ReadonlySet<string> {
  const reached = new Set(from);
  for (let grown = true; grown;) {
    grown = false;
    for (const [id, dependencies] of graph) {
      if (reached.has(id) || !dependencies.some((dependency) => reached.has(dependency))) continue;
      reached.add(id);
      grown = true;
    }
  }
  return reached;
}
