/**
 * The state of a run, as its events make it. Nothing else goes in: no clock, no chance, no store.
 *
 * It is changed in place, because a run may have many thousand events; whoever needs it as it was reads the log again.
 */
import { isJsonObject, type JsonObject, jsonBytes } from "../../content/json.ts";
import type { TaskError } from "../../task/task.ts";
import type { Scope } from "../definition/evaluate.ts";
import { graphOf, withDescendants } from "../definition/graph.ts";
import { render, wholeExpression } from "../definition/template.ts";
import { evaluate } from "../definition/evaluate.ts";
import type { Workflow, WorkflowStep } from "../definition/workflow.ts";
import type { AttemptKey, Decision, Fact, RunEvent, RunHappening, RunState } from "./events.ts";

/**
 * How far a step's task, or that of one item, is: `idle` not begun · `submitting` decided · `running` in the queue ·
 * `stopping` being cancelled · `missed` an attempt failed · `completed`, `failed` over.
 */
export type UnitPhase = "idle" | "submitting" | "running" | "stopping" | "missed" | "completed" | "failed";

/** A step's one task, or one item's. */
export interface Unit {
  /** The number of the last attempt; 0 before the first. */
  attempt: number;
  /** What the number of the last attempt before this chance was: further attempts count from it. */
  floor: number;
  phase: UnitPhase;
  /** When the attempt may begin, in milliseconds since 1970. */
  fromMs: number;
  taskId?: string | undefined;
  timedOut: boolean;
  result?: JsonObject | undefined;
  error?: TaskError | undefined;
}

/** A step's state: `asking` waits for a person. */
export type StepState = "waiting" | "running" | "asking" | "completed" | "failed" | "skipped" | "cancelled";

/** One step of a run. */
export interface StepRun {
  readonly step: WorkflowStep;
  readonly dependencies: readonly string[];
  state: StepState;
  /** Its tasks: one, or one for each item. */
  units: Unit[];
  /** Items of a `for_each`; undefined until it was expanded, and for a step without. */
  items?: readonly unknown[] | undefined;
  /** Which items have not been begun: from this one on. */
  nextItem: number;
  /** How many units are in the queue, or on their way in or out. */
  open: number;
  /** Units whose attempt failed and about which nothing was decided. */
  readonly missed: Set<number>;
  /** Units whose attempt took too long. */
  readonly late: Set<number>;
  /** How many units have completed or failed. */
  over: number;
  failures: number;
  /** Attempts below this number belong to earlier lives of the step. */
  floor: number;
  question?: string | undefined;
  answer?: Extract<Fact, { kind: "answered" }> | undefined;
  /** When it was asked, or began. */
  sinceMs: number;
  /** Once it has completed. */
  result?: unknown;
  error?: TaskError | undefined;
  /** Why it was skipped. */
  why?: string | undefined;
}

/** Whether a step in `state` will not change by itself. */
export function isOver(state: StepState): boolean {
  return state !== "waiting" && state !== "running" && state !== "asking";
}

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
      default:
        applyToStep(this, happening, atMs);
    }
  }
}

type StepHappening = Exclude<
  RunHappening,
  { kind: "started" | "cancel_requested" | "retry_requested" | "end" }
>;

/** A run from its first events. @throws TypeError if the log does not begin with its start */
export function runOf(id: string, events: readonly RunEvent[]): Run {
  const [first] = events;
  if (first?.kind !== "started") throw new TypeError(`the log of run ${id} does not begin with its start`);
  const run = new Run(id, first.workflow, first.inputs);
  for (const event of events) run.apply(event, event.atMs);
  return run;
}

function newStep(step: WorkflowStep, dependencies: readonly string[]): StepRun {
  return {
    step,
    dependencies,
    state: "waiting",
    units: [],
    nextItem: 0,
    open: 0,
    missed: new Set(),
    late: new Set(),
    over: 0,
    failures: 0,
    floor: 0,
    sinceMs: 0,
  };
}

function newUnit(floor: number): Unit {
  return { attempt: floor, floor, phase: "idle", fromMs: 0, timedOut: false };
}

/** What an expression sees of a step. */
function facesOf(step: StepRun): JsonObject {
  return {
    state: step.state,
    ...(step.state === "completed" && { result: step.result }),
    error: step.error ?? null,
  };
}

/** The result of a completed step: of its task, of its items as a list, or the answer to its question. */
function resultOf({ step, units, answer }: StepRun): unknown {
  if (answer) {
    const { approved, comment, value, by } = answer;
    return { approved, comment, by, ...(value !== undefined && { value }) };
  }
  return step.for_each === undefined ? (units[0]?.result ?? null) : units.map(({ result }) => result ?? null);
}

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
      finished(run, step, happening);
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
      close(run, step, happening);
  }
}

const CLOSED = { complete: "completed", fail: "failed", skip: "skipped", cancel: "cancelled" } as const;

function close(
  run: Run,
  step: StepRun,
  decision: Extract<Decision, { kind: "complete" | "fail" | "skip" | "cancel" }>,
): void {
  step.state = CLOSED[decision.kind];
  if (decision.kind === "complete") step.result = resultOf(step);
  if (decision.kind === "fail") step.error = decision.error;
  if (decision.kind === "skip") step.why = decision.why;
  run.openSteps.delete(step);
}

/** The unit that an event is about; undefined if the event is about an attempt that is not the last. */
function unitOf(step: StepRun, { item = 0, attempt }: AttemptKey): Unit | undefined {
  const unit = step.units[item];
  return unit?.attempt === attempt ? unit : undefined;
}

function submitted(
  step: StepRun,
  { item = 0, attempt, delayMs }: Extract<Decision, { kind: "submit" }>,
  atMs: number,
): void {
  if (step.state === "waiting") {
    step.state = "running";
    step.sinceMs = atMs;
    step.units = [newUnit(step.floor)];
  }
  const unit = step.units[item];
  if (!unit) return;
  if (unit.phase === "idle") step.nextItem = item + 1;
  step.missed.delete(item);
  step.open += 1;
  Object.assign(unit, {
    attempt,
    phase: "submitting",
    fromMs: atMs + delayMs,
    taskId: undefined,
    timedOut: false,
  });
}

function refused(step: StepRun, { item = 0, attempt, error }: Extract<Decision, { kind: "refuse" }>): void {
  const unit = step.units[item];
  if (!unit) return;
  if (unit.phase === "idle") step.nextItem = item + 1;
  step.missed.delete(item);
  Object.assign(unit, { attempt, phase: "failed", error });
  step.over += 1;
  step.failures += 1;
}

function finished(run: Run, step: StepRun, event: Extract<Fact, { kind: "finished" }>): void {
  const unit = unitOf(step, event);
  if (!unit || (unit.phase !== "running" && unit.phase !== "stopping" && unit.phase !== "submitting")) return;
  const { item = 0, outcome } = event;
  step.open -= 1;
  step.late.delete(item);
  if (outcome.state === "completed" && unit.phase !== "stopping" && !unit.timedOut) {
    unit.phase = "completed";
    unit.result = outcome.result;
    unit.error = undefined;
    step.over += 1;
    run.resultBytes += jsonBytes(outcome.result);
    return;
  }
  unit.error = unit.timedOut ? timeoutError(step) : outcome.state === "completed" ? STOPPED : outcome.error;
  if (unit.attempt - unit.floor <= (step.step.retries ?? 0)) {
    unit.phase = "missed";
    step.missed.add(item);
    return;
  }
  unit.phase = "failed";
  step.over += 1;
  step.failures += 1;
}

const STOPPED: TaskError = {
  code: "E_CANCELLED",
  message: "it was stopped before its result came",
  failureClass: "cancelled",
};

/** The error of a step that took too long. */
export function timeoutError({ step }: StepRun): TaskError {
  const message = `step '${step.id}' was not done within ${step.timeout ?? 0} ms`;
  return { code: "E_DEADLINE", message, failureClass: "timeout" };
}

function timedOut(step: StepRun, event: Extract<Fact, { kind: "timed_out" }>): void {
  if (step.state === "asking") {
    if (event.attempt === step.floor && !step.answer) step.late.add(0);
    return;
  }
  const unit = unitOf(step, event);
  if (!unit || (unit.phase !== "running" && unit.phase !== "submitting")) return;
  unit.timedOut = true;
  step.late.add(event.item ?? 0);
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
    if (freshInput || step.units.length === 0) reset(run, step);
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

function reset(run: Run, step: StepRun): void {
  for (const { result } of step.units) if (result !== undefined) run.resultBytes -= jsonBytes(result);
  const floor = Math.max(step.floor, ...step.units.map(({ attempt }) => attempt));
  step.missed.clear();
  step.late.clear();
  Object.assign(step, newStep(step.step, step.dependencies), {
    missed: step.missed,
    late: step.late,
    floor,
    items: undefined,
    question: undefined,
    answer: undefined,
    result: undefined,
    error: undefined,
    why: undefined,
  });
}

/** The same items once more, but only those that have no result. */
function keepCompleted(step: StepRun, atMs: number): void {
  step.state = "running";
  step.sinceMs = atMs;
  step.error = undefined;
  step.failures = 0;
  step.over = 0;
  step.nextItem = step.units.length;
  for (const [item, unit] of step.units.entries()) {
    if (unit.phase === "completed") step.over += 1;
    else {
      unit.phase = "missed";
      unit.floor = unit.attempt;
      step.missed.add(item);
    }
  }
}

/** What a step's payload becomes for one item. @throws ExpressionError */
export function payloadOf(run: Run, step: StepRun, item: number | undefined): JsonObject {
  const scope = run.scope(
    item === undefined ? undefined : { index: item, value: step.items?.[item] ?? null },
  );
  const payload = render(step.step.payload ?? {}, scope);
  return isJsonObject(payload) ? payload : {};
}
