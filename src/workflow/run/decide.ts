/**
 * What a run does next: a function of its events alone.
 *
 * No clock, no chance, no order of a map that depends on when something came: whoever reads the same log decides the
 * same, on any node, today or in a year. What needs the world (tasks, time, people) is done by the conductor, and comes
 * back as a fact.
 */
import { canonicalDigest } from "../../content/canonical-json.ts";
import { ExpressionError, errorFacts, McpError } from "../../errors.ts";
import type { NewTask, TaskError } from "../../task/task.ts";
import { evaluateTruth, kindOf } from "../definition/evaluate.ts";
import { DEFAULT_WIDTH, MAX_ITEMS } from "../definition/limits.ts";
import { render, wholeExpression } from "../definition/template.ts";
import type { AttemptKey, Decision } from "./events.ts";
import { itemsOf, payloadOf, type Run } from "./state.ts";
import { isOver, type StepRun, timeoutError } from "./step-run.ts";

/** The next decision; undefined if the run waits for a fact, or has ended. */
export function nextDecision(run: Run): Decision | undefined {
  if (run.state !== "running") return undefined;
  if (run.cancelling !== undefined) return cancelling(run);
  for (const step of run.openSteps) {
    const decision = stepDecision(run, step);
    if (decision) return decision;
  }
  return run.openSteps.size === 0 ? ending(run) : undefined;
}

/** All decisions that follow now; the run has taken them in. @param limit - stop after so many; ask again then */
export function decideAll(run: Run, atMs: number, limit: number): readonly Decision[] {
  const decisions: Decision[] = [];
  while (decisions.length < limit) {
    const next = nextDecision(run);
    if (!next) break;
    run.apply(next, atMs);
    decisions.push(next);
  }
  return decisions;
}

function cancelling(run: Run): Decision | undefined {
  for (const step of run.openSteps) {
    for (const item of step.active)
      if (step.units[item]?.phase === "running") return stop(step, item, "the run was cancelled");
    if (step.open === 0) return { kind: "cancel", step: step.step.id };
  }
  if (run.openSteps.size > 0) return undefined;
  const message = run.cancelling === "" ? "cancelled on request" : (run.cancelling ?? "");
  return {
    kind: "end",
    state: "cancelled",
    error: { code: "E_CANCELLED", message, failureClass: "cancelled" },
  };
}

function stepDecision(run: Run, step: StepRun): Decision | undefined {
  switch (step.state) {
    case "waiting":
      return begin(run, step);
    case "running":
      return advance(run, step);
    case "asking":
      return answered(step);
    case "completed":
    case "failed":
    case "skipped":
    case "cancelled":
      break;
  }
  return undefined;
}

/** Whether a step may run, now that its dependencies are over. */
function begin(run: Run, step: StepRun): Decision | undefined {
  const before = step.dependencies.map((id) => run.step(id));
  if (!before.every(({ state }) => isOver(state))) return undefined;
  const { id } = step.step;
  const why = reasonToSkip(step, before);
  if (why !== undefined) return { kind: "skip", step: id, why };
  return guarded(id, () => {
    const { when = true } = step.step;
    const wanted = typeof when === "boolean" ? when : evaluateTruth(wholeExpression(when), run.scope());
    if (!wanted) return { kind: "skip", step: id, why: "its condition is false" };
    if (step.step.approval !== undefined) {
      const question = String(render(step.step.approval, run.scope()));
      return { kind: "ask", step: id, attempt: step.floor + 1, question };
    }
    return step.step.for_each === undefined ? submit(run, step, undefined) : expand(run, step);
  });
}

function reasonToSkip(step: StepRun, before: readonly StepRun[]): string | undefined {
  const { after = "completed" } = step.step;
  if (after === "ended") return undefined;
  if (after === "failed")
    return before.some(({ state }) => state === "failed") ? undefined : "no step before it has failed";
  const missing = before.find(
    (one) => one.state !== "completed" && !(one.state === "failed" && isForgiven(one)),
  );
  return (
    missing &&
    `step '${missing.step.id}' before it has ${missing.state === "skipped" ? "been skipped" : missing.state}`
  );
}

function isForgiven({ step }: StepRun): boolean {
  return step.allow_failure ?? false;
}

function expand(run: Run, step: StepRun): Decision {
  const { id } = step.step;
  const items = itemsOf(run, step);
  if (!Array.isArray(items)) throw new ExpressionError(`for_each needs a list, not ${kindOf(items)}`);
  if (items.length > MAX_ITEMS)
    throw new ExpressionError(`for_each has ${items.length} items, more than ${MAX_ITEMS}`);
  return { kind: "expand", step: id, items: items.length, digest: canonicalDigest(items) };
}

function advance(run: Run, step: StepRun): Decision | undefined {
  const { id } = step.step;
  for (const item of step.late)
    if (step.units[item]?.phase === "running") return stop(step, item, "it took too long");
  const width = step.items === undefined ? 1 : (step.step.width ?? DEFAULT_WIDTH);
  const [again] = step.missed;
  if (again !== undefined && step.open < width)
    return submitOrRefuse(run, step, step.items === undefined ? undefined : again);
  if (again === undefined && step.nextItem < step.units.length && step.open < width)
    return submitOrRefuse(run, step, step.nextItem);
  if (step.over < step.units.length || step.open > 0) return undefined;
  return step.failures === 0
    ? { kind: "complete", step: id }
    : { kind: "fail", step: id, error: errorOf(step) };
}

function answered({ step, answer, late, ...rest }: StepRun): Decision | undefined {
  if (answer?.approved) return { kind: "complete", step: step.id };
  if (answer) {
    const message =
      answer.comment === "" ? `${answer.by} said no` : `${answer.by} said no: ${answer.comment}`;
    return { kind: "fail", step: step.id, error: { code: "E_REJECTED", message, failureClass: "denied" } };
  }
  if (late.size === 0) return undefined;
  return { kind: "fail", step: step.id, error: timeoutError({ step, answer, late, ...rest }) };
}

/** Others of the step may be under way, so that an attempt which cannot be made fails alone. */
function submitOrRefuse(run: Run, step: StepRun, item: number | undefined): Decision {
  try {
    return submit(run, step, item);
  } catch (error) {
    const attempt = (step.units[item ?? 0]?.attempt ?? step.floor) + 1;
    return { kind: "refuse", ...keyOf(step, item, attempt), error: taskError(error, "") };
  }
}

function submit(run: Run, step: StepRun, item: number | undefined): Decision {
  const unit = step.units[item ?? 0];
  const attempt = (unit?.attempt ?? step.floor) + 1;
  const isRepeat = attempt > (unit?.floor ?? step.floor) + 1;
  const digest = canonicalDigest(workOf(run, step, item));
  const key = keyOf(step, item, attempt);
  return { kind: "submit", ...key, delayMs: isRepeat ? (step.step.retry_delay ?? 0) : 0, digest };
}

function stop(step: StepRun, item: number, why: string): Decision {
  const attempt = step.units[item]?.attempt ?? 1;
  return { kind: "stop", ...keyOf(step, step.items === undefined ? undefined : item, attempt), why };
}

function keyOf({ step }: StepRun, item: number | undefined, attempt: number): AttemptKey {
  return item === undefined ? { step: step.id, attempt } : { step: step.id, item, attempt };
}

/**
 * The work of a step's task, or of one item's, without how it is queued.
 *
 * @throws ExpressionError if a reference of it has no value
 */
export function workOf(
  run: Run,
  step: StepRun,
  item: number | undefined,
): Pick<NewTask, "type" | "payload"> & { readonly modelName: string; readonly priority?: number } {
  const { task = "", model = "", priority = run.workflow.priority } = step.step;
  const scope = run.scope(
    item === undefined ? undefined : { index: item, value: step.items?.[item] ?? null },
  );
  const modelName = String(render(model, scope));
  return {
    type: task,
    modelName,
    payload: payloadOf(run, step, item),
    ...(priority !== undefined && { priority }),
  };
}

function errorOf(step: StepRun): TaskError {
  const failed = step.units.findIndex(({ phase }) => phase === "failed");
  const error = step.units[failed]?.error ?? {
    code: "E_INTERNAL",
    message: "it failed",
    failureClass: "internal",
  };
  if (step.items === undefined) return error;
  const message = `${step.failures} of ${step.units.length} items failed; the first is item ${failed}: ${error.message}`;
  return { ...error, message };
}

/** How a run ends once all its steps are over. */
function ending(run: Run): Decision {
  const failed = [...run.steps.values()].find((step) => step.state === "failed" && !isForgiven(step));
  if (failed) {
    const { code = "E_INTERNAL", message = "", failureClass = "internal" } = failed.error ?? {};
    return {
      kind: "end",
      state: "failed",
      error: { code, message: `step '${failed.step.id}': ${message}`, failureClass },
    };
  }
  try {
    return { kind: "end", state: "completed", output: render(run.workflow.output ?? null, run.scope()) };
  } catch (error) {
    return { kind: "end", state: "failed", error: taskError(error, "output: ") };
  }
}

/** What `decide` decides; that the step fails, if an expression of it has no value. */
function guarded(step: string, decide: () => Decision): Decision {
  try {
    return decide();
  } catch (error) {
    return { kind: "fail", step, error: taskError(error, "") };
  }
}

/** @throws the error itself, if it is a defect and not a workflow's mistake */
function taskError(error: unknown, prefix: string): TaskError {
  if (!(error instanceof McpError)) throw error;
  const { code, message, failureClass } = errorFacts(error);
  return { code, message: prefix + message, failureClass };
}
