/** One step of a run: its tasks, and what each event changes in it. */
import { type JsonObject, jsonBytes } from "../../content/json.ts";
import type { TaskError } from "../../task/task.ts";
import type { WorkflowStep } from "../definition/workflow.ts";
import type { AttemptKey, Decision, Fact } from "./events.ts";

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
  /** Those units: what has to be looked at again and again, however many items there are. */
  readonly active: Set<number>;
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

/** A step before its first event. */
export function newStep(step: WorkflowStep, dependencies: readonly string[]): StepRun {
  return {
    step,
    dependencies,
    state: "waiting",
    units: [],
    nextItem: 0,
    open: 0,
    active: new Set(),
    missed: new Set(),
    late: new Set(),
    over: 0,
    failures: 0,
    floor: 0,
    sinceMs: 0,
  };
}

/** A task before its first attempt. */
export function newUnit(floor: number): Unit {
  return { attempt: floor, floor, phase: "idle", fromMs: 0, timedOut: false };
}

/** What an expression sees of a step. */
export function facesOf(step: StepRun): JsonObject {
  return {
    state: step.state,
    ...(step.state === "completed" && { result: step.result }),
    error: step.error ?? null,
  };
}

/** The result of a completed step: of its task, of its items as a list, or the answer to its question. */
export function resultOf({ step, units, answer }: StepRun): unknown {
  if (answer) {
    const { approved, comment, value, by } = answer;
    return { approved, comment, by, ...(value !== undefined && { value }) };
  }
  return step.for_each === undefined ? (units[0]?.result ?? null) : units.map(({ result }) => result ?? null);
}

const CLOSED = { complete: "completed", fail: "failed", skip: "skipped", cancel: "cancelled" } as const;

/** A step is over. */
export function close(
  step: StepRun,
  decision: Extract<Decision, { kind: "complete" | "fail" | "skip" | "cancel" }>,
): void {
  step.state = CLOSED[decision.kind];
  if (decision.kind === "complete") step.result = resultOf(step);
  if (decision.kind === "fail") step.error = decision.error;
  if (decision.kind === "skip") step.why = decision.why;
}

/** The unit that an event is about; undefined if the event is about an attempt that is not the last. */
export function unitOf(step: StepRun, { item = 0, attempt }: AttemptKey): Unit | undefined {
  const unit = step.units[item];
  return unit?.attempt === attempt ? unit : undefined;
}

/** An attempt was decided. */
export function submitted(
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
  step.active.add(item);
  Object.assign(unit, {
    attempt,
    phase: "submitting",
    fromMs: atMs + delayMs,
    taskId: undefined,
    timedOut: false,
  });
}

/** An attempt was found to be impossible. */
export function refused(
  step: StepRun,
  { item = 0, attempt, error }: Extract<Decision, { kind: "refuse" }>,
): void {
  const unit = step.units[item];
  if (!unit) return;
  if (unit.phase === "idle") step.nextItem = item + 1;
  step.missed.delete(item);
  Object.assign(unit, { attempt, phase: "failed", error });
  step.over += 1;
  step.failures += 1;
}

/** The task of an attempt has ended. @returns by how many bytes of JSON the results of the run have grown */
export function finished(step: StepRun, event: Extract<Fact, { kind: "finished" }>): number {
  const unit = unitOf(step, event);
  if (!unit || (unit.phase !== "running" && unit.phase !== "stopping" && unit.phase !== "submitting"))
    return 0;
  const { item = 0, outcome } = event;
  step.open -= 1;
  step.active.delete(item);
  step.late.delete(item);
  if (outcome.state === "completed" && unit.phase !== "stopping" && !unit.timedOut) {
    unit.phase = "completed";
    unit.result = outcome.result;
    unit.error = undefined;
    step.over += 1;
    return jsonBytes(outcome.result);
  }
  unit.error = unit.timedOut ? timeoutError(step) : outcome.state === "completed" ? STOPPED : outcome.error;
  if (unit.attempt - unit.floor <= (step.step.retries ?? 0)) {
    unit.phase = "missed";
    step.missed.add(item);
    return 0;
  }
  unit.phase = "failed";
  step.over += 1;
  step.failures += 1;
  return 0;
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

/** An attempt, or the wait for an answer, took too long. */
export function timedOut(step: StepRun, event: Extract<Fact, { kind: "timed_out" }>): void {
  if (step.state === "asking") {
    if (event.attempt === step.floor && !step.answer) step.late.add(0);
    return;
  }
  const unit = unitOf(step, event);
  if (!unit || (unit.phase !== "running" && unit.phase !== "submitting")) return;
  unit.timedOut = true;
  step.late.add(event.item ?? 0);
}

/** Takes a step back to its beginning. @returns by how many bytes of JSON the results of the run shrink */
export function reset(step: StepRun): number {
  const bytes = step.units.reduce(
    (sum, { result }) => sum + (result === undefined ? 0 : jsonBytes(result)),
    0,
  );
  const floor = Math.max(step.floor, ...step.units.map(({ attempt }) => attempt));
  step.active.clear();
  step.missed.clear();
  step.late.clear();
  Object.assign(step, newStep(step.step, step.dependencies), {
    active: step.active,
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
  return bytes;
}

/** The same items once more, but only those that have no result. */
export function keepCompleted(step: StepRun, atMs: number): void {
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
