/** What a schema cannot say of a workflow: that its steps fit together. */
import { isJsonObject } from "../../content/json.ts";
import type { WorkflowProblem } from "../../errors.ts";
import type { Expression } from "./expression.ts";
import { cycleIn, graphOf, pathsIn, stepExpressions, stepNamedBy } from "./graph.ts";
import { MAX_DEFINITION_CHARS, MAX_ITEMS } from "./limits.ts";
import { expressionsIn } from "./template.ts";
import type { Workflow, WorkflowStep } from "./workflow.ts";

/** A problem before its place in a file is known. */
export interface PlacedProblem extends Omit<WorkflowProblem, "path" | "line" | "column"> {
  readonly path: readonly (string | number)[];
}

type Path = readonly (string | number)[];

/** What of a step can be referred to. */
const STEP_MEMBERS = ["result", "state", "error"];
/** What of a run can be referred to. */
const RUN_MEMBERS = ["id", "workflow"];

/** Everything that is wrong with a workflow, in the order of its steps; empty if it can be run. */
export function problemsOf(workflow: Workflow): readonly PlacedProblem[] {
  if (JSON.stringify(workflow).length > MAX_DEFINITION_CHARS)
    return [
      { code: "limit", path: [], message: `a workflow has at most ${MAX_DEFINITION_CHARS} characters` },
    ];
  const known: Known = {
    steps: new Set(workflow.steps.map(({ id }) => id)),
    inputs: new Set(Object.keys(workflow.inputs ?? {})),
  };
  const problems: PlacedProblem[] = [
    ...duplicates(workflow),
    ...workflow.steps.flatMap((step, index) => stepProblems(step, ["steps", index], known)),
    ...outputProblems(workflow, known),
  ];
  if (problems.length > 0) return problems;
  return [...cycles(workflow), ...orphans(workflow)];
}

interface Known {
  readonly steps: ReadonlySet<string>;
  readonly inputs: ReadonlySet<string>;
}

function duplicates({ steps }: Workflow): readonly PlacedProblem[] {
  const first = new Map<string, number>();
  return steps.flatMap(({ id }, index): readonly PlacedProblem[] => {
    const before = first.get(id);
    if (before === undefined) {
      first.set(id, index);
      return [];
    }
    const message = `step ${before + 1} has the id '${id}' as well`;
    return [
      {
        code: "duplicate-id",
        path: ["steps", index, "id"],
        message,
        hint: "give each step an id of its own",
      },
    ];
  });
}

function stepProblems(step: WorkflowStep, at: Path, known: Known): readonly PlacedProblem[] {
  const problems: PlacedProblem[] = [...shapeProblems(step, at)];
  for (const [index, name] of (step.depends_on ?? []).entries()) {
    if (known.steps.has(name)) continue;
    problems.push(unknownStep(name, [...at, "depends_on", index], known));
  }
  const found = stepExpressions(step, (path, error) => problems.push(unreadable([...at, ...path], error)));
  for (const { path, expression } of found) {
    const inItems = step.for_each !== undefined && path[0] !== "for_each" && path[0] !== "when";
    problems.push(...referenceProblems(expression, [...at, ...path], known, inItems));
  }
  return problems;
}

function shapeProblems(step: WorkflowStep, at: Path): readonly PlacedProblem[] {
  const problem = (member: string, message: string, hint?: string): PlacedProblem => ({
    code: "schema",
    path: [...at, member],
    message,
    hint,
  });
  if (step.task === undefined && step.approval === undefined)
    return [{ code: "schema", path: at, message: "a step has either 'task' or 'approval'" }];
  if (step.task !== undefined && step.approval !== undefined)
    return [problem("approval", "a step has either 'task' or 'approval', not both")];
  if (Array.isArray(step.for_each) && step.for_each.length > MAX_ITEMS)
    return [problem("for_each", `a list has at most ${MAX_ITEMS} items`)];
  if (step.width !== undefined && step.for_each === undefined)
    return [problem("width", "'width' goes with 'for_each'")];
  if (step.approval === undefined) return [];
  const wrong = (["payload", "model", "for_each", "retries", "retry_delay", "priority"] as const).filter(
    (member) => step[member] !== undefined,
  );
  return wrong.map((member) => problem(member, `an approval has no '${member}'`));
}

function outputProblems({ output }: Workflow, known: Known): readonly PlacedProblem[] {
  const problems: PlacedProblem[] = [];
  const found = expressionsIn(output, ["output"], (path, error) => problems.push(unreadable(path, error)));
  for (const { path, expression } of found)
    problems.push(...referenceProblems(expression, path, known, false));
  return problems;
}

function unreadable(
  path: Path,
  { message, hint }: { readonly message: string; readonly hint: string | undefined },
): PlacedProblem {
  return { code: "expression", path, message, hint };
}

function referenceProblems(
  expression: Expression,
  path: Path,
  known: Known,
  inItems: boolean,
): readonly PlacedProblem[] {
  return pathsIn(expression).flatMap((reference): readonly PlacedProblem[] => {
    const wrong =
      reference.root === "steps"
        ? stepReference(reference, path, known)
        : otherReference(reference, known, inItems);
    return wrong ? [{ code: "unknown-reference", path, ...wrong }] : [];
  });
}

type Reference = ReturnType<typeof pathsIn>[number];
type Wrong = Pick<PlacedProblem, "message" | "hint">;

function stepReference(reference: Reference, path: Path, known: Known): Wrong | undefined {
  const [first, second] = reference.members.map(nameOf);
  if (first === undefined || stepNamedBy(reference) === undefined)
    return { message: "'steps' must be followed by the id of a step" };
  if (!known.steps.has(first)) return unknownStep(first, path, known);
  if (second !== undefined && STEP_MEMBERS.includes(second)) return undefined;
  return { message: `steps.${first} must be followed by one of .${STEP_MEMBERS.join(", .")}` };
}

function otherReference({ root, members }: Reference, known: Known, inItems: boolean): Wrong | undefined {
  const [first] = members.map(nameOf);
  if (root === "run")
    return first !== undefined && RUN_MEMBERS.includes(first)
      ? undefined
      : { message: "'run' has id and workflow" };
  if (root === "inputs") {
    if (members.length === 0 || (first !== undefined && known.inputs.has(first))) return undefined;
    return { message: `there is no input '${first ?? "?"}'`, hint: namesHint("inputs", known.inputs) };
  }
  return inItems ? undefined : { message: `'${root}' has a meaning only where 'for_each' gives items` };
}

function nameOf(member: Expression): string | undefined {
  return member.kind === "literal" && typeof member.value === "string" ? member.value : undefined;
}

function unknownStep(name: string, path: Path, { steps }: Known): PlacedProblem {
  const message = `there is no step '${name}'`;
  return { code: "unknown-reference", path, message, hint: namesHint("steps", steps) };
}

const MAX_NAMES_SHOWN = 12;

function namesHint(what: string, names: ReadonlySet<string>): string {
  if (names.size === 0) return `the workflow has no ${what}`;
  const shown = [...names].slice(0, MAX_NAMES_SHOWN).join(", ");
  return `its ${what} are ${shown}${names.size > MAX_NAMES_SHOWN ? ", …" : ""}`;
}

function cycles(workflow: Workflow): readonly PlacedProblem[] {
  const cycle = cycleIn(graphOf(workflow));
  if (!cycle) return [];
  const index = workflow.steps.findIndex(({ id }) => id === cycle[0]);
  const message = `steps wait for each other: ${cycle.join(" → ")}`;
  return [{ code: "cycle", path: ["steps", index], message, hint: "take one of these dependencies away" }];
}

/** A step that nothing leads to or from, among others that are connected, has most likely lost its `depends_on`. */
function orphans(workflow: Workflow): readonly PlacedProblem[] {
  const graph = graphOf(workflow);
  const connected = new Set([...graph].flatMap(([id, before]) => (before.length > 0 ? [id, ...before] : [])));
  if (connected.size === 0) return [];
  return workflow.steps.flatMap(({ id, alone = false }, index): readonly PlacedProblem[] => {
    if (connected.has(id) || alone || usedByOutput(workflow, id)) return [];
    const message = `step '${id}' is connected to no other step`;
    const hint = "add depends_on, or alone: true if it is meant to be so";
    return [{ code: "orphan", path: ["steps", index], message, hint }];
  });
}

function usedByOutput({ output }: Workflow, id: string): boolean {
  if (!isJsonObject(output) && typeof output !== "string" && !Array.isArray(output)) return false;
  return expressionsIn(output, [], () => undefined).some(({ expression }) =>
    pathsIn(expression).some((path) => stepNamedBy(path) === id),
  );
}
