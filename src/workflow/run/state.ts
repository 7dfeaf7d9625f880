/**
 * The state of a run, as its events make it. Nothing else goes in: no clock, no chance, no store.
 *
 * It is changed in place, because a run may have many thousand events; whoever needs it as it was reads the log again.
 */
import { isJsonObject, type JsonObject } from "../../content/json.ts";
import type { TaskError } from "../../task/task.ts";
import type { Scope } from "../definition/evaluate.ts";
import { graphOf, withDescendants } from "../definition/graph.ts";
import { render, wholeExpression } from "../definition/template.ts";
import { evaluate } from "../definition/evaluate.ts";
import type { Workflow } from "../definition/workflow.ts";
import type { RunHappening, RunState } from "./events.ts";
import {
  close,
  facesOf,
  finished,
  keepCompleted,
  newStep,
  newUnit,
  refused,
  reset,
  type StepRun,
  submitted,
  timedOut,
  unitOf,
} from "./step-run.ts";

/** A run. */
export class Run {
  readonly id: string;
  /** How many events it was made of. */
  length = 0;
  state: RunState = "running";
  startedBy = "";
  startedAtMs = 0;
  updatedAtMs = 0;
  cancelling: string | undefined;
  output: unknown;
  error: TaskError | undefined;
  /** Bytes of JSON of all results. */
  resultBytes = 0;
  readonly #workflow: Workflow;
  /** What expressions see of the steps, always as they are now. */
  readonly #faces: Record<string, unknown> = {};
  readonly inputs: JsonObject;
  readonly steps: ReadonlyMap<string, StepRun>;
  /** Those that are not over, in the order of the workflow. */
  readonly openSteps: Set<StepRun>;

  constructor(id: string, workflow: Workflow, inputs: JsonObject) {
    this.id = id;
    this.#workflow = workflow;
    this.inputs = inputs;
    const graph = graphOf(workflow);
    this.steps = new Map(workflow.steps.map((step) => [step.id, newStep(step, graph.get(step.id) ?? [])]));
    this.openSteps = new Set(this.steps.values());
    for (const [name, step] of this.steps)
      Object.defineProperty(this.#faces, name, { enumerable: true, get: () => facesOf(step) });
  }

  get workflow(): Workflow {
    return this.#workflow;
  }

  /** A step of this run. @throws TypeError if the workflow has none of that name, which no log of ours names */
  step(id: string): StepRun {
    const found = this.steps.get(id);
    if (found) return found;
    throw new TypeError(`the log of run ${this.id} names a step '${id}' that the workflow does not have`);
  }

  /** What expressions of a step, or of one item of it, can refer to. */
  scope(item?: { readonly index: number; readonly value: unknown }): Scope {
    const run = { id: this.id, workflow: this.#workflow.name };
    return {
      steps: this.#faces,
      inputs: this.inputs,
      run,
      ...(item && { item: item.value, index: item.index }),
    };
  }

  /** Takes the next event in. */
  apply(happening: RunHappening, atMs: number): void {
    this.length += 1;
    this.updatedAtMs = atMs;
    switch (happening.kind) {
      case "started":
        this.startedBy = happening.by;
        this.startedAtMs = atMs;
        return;
      case "cancel_requested":
        this.cancelling ??= happening.reason;
        return;
      case "retry_requested":
        retry(this, happening.from, atMs);
        return;
      case "end":
        this.state = happening.state;
        this.output = happening.output;
        this.error = happening.error;
        return;
      case "expand":
      case "submit":
      case "submitted":
      case "finished":
      case "timed_out":
      case "stop":
      case "refuse":
      case "ask":
      case "answered":
      case "complete":
      case "fail":
      case "skip":
      case "cancel":
        applyToStep(this, happening, atMs);
    }
  }
}

type StepHappening = Exclude<
  RunHappening,
  { kind: "started" | "cancel_requested" | "retry_requested" | "end" }
>;

/** The items of a `for_each`. @throws ExpressionError */
export function itemsOf(run: Run, { step }: StepRun): unknown {
  const { for_each: source } = step;
  if (typeof source === "string") return evaluate(wholeExpression(source), run.scope());
  return render(source, run.scope());
}

function applyToStep(run: Run, happening: StepHappening, atMs: number): void {
  const step = run.step(happening.step);
  switch (happening.kind) {
    case "expand": {
      const items = itemsOf(run, step);
      step.items = Array.isArray(items) ? items : [];
      step.units = step.items.map(() => newUnit(step.floor));
      step.state = "running";
      step.sinceMs = atMs;
      return;
    }
    case "submit":
      submitted(step, happening, atMs);
      return;
    case "submitted": {
      const unit = unitOf(step, happening);
      if (unit?.phase !== "submitting") return;
      unit.phase = "running";
      unit.taskId = happening.taskId;
      return;
    }
    case "finished":
      run.resultBytes += finished(step, happening);
      return;
    case "timed_out":
      timedOut(step, happening);
      return;
    case "stop": {
      const unit = unitOf(step, happening);
      if (unit) unit.phase = "stopping";
      step.late.delete(happening.item ?? 0);
      return;
    }
    case "refuse":
      refused(step, happening);
      return;
    case "ask":
      step.state = "asking";
      step.floor = happening.attempt;
      step.question = happening.question;
      step.sinceMs = atMs;
      return;
    case "answered":
      step.answer ??= happening;
      return;
    case "complete":
    case "fail":
    case "skip":
    case "cancel":
      close(step, happening);
      run.openSteps.delete(step);
  }
}

/** Takes steps back to where they can run again: those that did not complete, what comes after them, and `from`. */
function retry(run: Run, from: string | undefined, atMs: number): void {
  const graph = new Map([...run.steps].map(([id, { dependencies }]) => [id, dependencies]));
  const failed = [...run.steps.values()].filter(({ state }) => state === "failed" || state === "cancelled");
  const roots = [...failed.map(({ step }) => step.id), ...(from === undefined ? [] : [from])];
  const again = withDescendants(roots, graph);
  for (const step of run.steps.values()) {
    if (!again.has(step.step.id)) continue;
    const freshInput = step.step.id === from || step.dependencies.some((id) => again.has(id));
    if (freshInput || step.units.length === 0) run.resultBytes -= reset(step);
    else keepCompleted(step, atMs);
    run.openSteps.add(step);
  }
  // In the order of the workflow, on which decisions depend.
  const open = [...run.steps.values()].filter((step) => run.openSteps.has(step));
  run.openSteps.clear();
  for (const step of open) run.openSteps.add(step);
  run.state = "running";
  run.cancelling = undefined;
  run.output = undefined;
  run.error = undefined;
}

/** What a step's payload becomes for one item. @throws ExpressionError */
export function payloadOf(run: Run, step: StepRun, item: number | undefined): JsonObject {
  const scope = run.scope(
    item === undefined ? undefined : { index: item, value: step.items?.[item] ?? null },
  );
  const payload = render(step.step.payload ?? {}, scope);
  return isJsonObject(payload) ? payload : {};
}
