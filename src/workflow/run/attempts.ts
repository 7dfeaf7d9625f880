/** Attempts as tasks of the queue, and their ends as facts. */
import { jsonBytes } from "../../content/json.ts";
import { errorFacts, hasCode, type TaskNotFoundError } from "../../errors.ts";
import { MAX_WAIT_MS, type TaskQueue } from "../../task/queue.ts";
import type { NewTask, Task, TaskError } from "../../task/task.ts";
import { MAX_RUN_RESULT_BYTES, MAX_STEP_RESULT_BYTES } from "../definition/limits.ts";
import { workOf } from "./decide.ts";
import type { AttemptKey, AttemptOutcome, Fact } from "./events.ts";
import type { Placement } from "../placement.ts";
import { placementOfStep } from "./placement.ts";
import type { Run } from "./state.ts";
import type { StepRun, Unit } from "./step-run.ts";

/** Gives a task what it needs to be placed; the seam for the scheduler. */
export type Place = (task: NewTask, placement: Placement) => NewTask;

/** An attempt, with the step and unit that it is of. */
export interface Attempt {
  readonly key: AttemptKey;
  readonly step: StepRun;
  readonly unit: Unit;
}

/** The attempts of a run that are in the queue, or on their way in or out. */
export function* attemptsOf(run: Run): Generator<Attempt> {
  for (const step of run.openSteps) {
    for (const item of step.active) {
      const unit = step.units[item];
      if (!unit) continue;
      const { attempt } = unit;
      const id = step.step.id;
      const key = step.items === undefined ? { step: id, attempt } : { step: id, item, attempt };
      yield { key, step, unit };
    }
  }
}

/** One word for an attempt, unique within its run. */
export function attemptName({ step, item, attempt }: AttemptKey): string {
  return item === undefined ? `${step}:${attempt}` : `${step}:${item}:${attempt}`;
}

/** Idempotency keys of steps' tasks begin so. */
const KEY_PREFIX = "flow";

/** The task of an attempt. The same attempt gives the same key, however often and by whomever it is submitted. */
export function taskOf(run: Run, { key, step, unit }: Attempt, nowMs: number, place: Place): NewTask {
  const work = workOf(run, step, key.item);
  const delayMs = Math.max(0, unit.fromMs - nowMs);
  const task: NewTask = {
    ...work,
    idempotencyKey: `${KEY_PREFIX}:${run.id}:${attemptName(key)}`,
    ...(delayMs > 0 && { delayMs }),
  };
  return place(task, placementOfStep(step.step, run.workflow));
}

/** A task that belongs to a step of a run, by its idempotency key. @returns undefined if it belongs to none */
export function runOfKey(key: string): string | undefined {
  const [prefix, runId] = key.split(":");
  return prefix === KEY_PREFIX ? runId : undefined;
}

/** Waits until the task of an attempt has ended. @throws ShuttingDownError when its queue closes */
export async function endOf(queue: TaskQueue, taskId: string): Promise<Task | undefined> {
  try {
    for (;;) {
      const { task, finished } = await queue.wait(taskId, MAX_WAIT_MS);
      if (finished) return task;
    }
  } catch (error) {
    if (isTaskNotFound(error)) return undefined;
    throw error;
  }
}

function isTaskNotFound(error: unknown): error is TaskNotFoundError {
  return hasCode(error, "E_TASK_NOT_FOUND");
}

/** The fact that a task has ended. @param task - undefined if its queue has forgotten it */
export function finishedFact(key: AttemptKey, task: Task | undefined, run: Run): Fact {
  return { kind: "finished", ...key, outcome: task ? outcomeOf(task, run) : forgotten() };
}

/** The fact that an attempt never became a task. */
export function refusedFact(key: AttemptKey, error: unknown): Fact {
  const { code, message, failureClass } = errorFacts(error);
  return { kind: "finished", ...key, outcome: { state: "failed", error: { code, message, failureClass } } };
}

function outcomeOf({ state, result = {}, error }: Task, run: Run): AttemptOutcome {
  if (state !== "completed") {
    const unknown: TaskError = {
      code: "E_TASK_FAILED",
      message: `its task has ${state}`,
      failureClass: "internal",
    };
    return { state: state === "cancelled" ? "cancelled" : "failed", error: error ?? unknown };
  }
  const bytes = jsonBytes(result);
  if (bytes <= MAX_STEP_RESULT_BYTES && run.resultBytes + bytes <= MAX_RUN_RESULT_BYTES)
    return { state: "completed", result };
  const limit =
    bytes > MAX_STEP_RESULT_BYTES
      ? `the result has ${bytes} bytes of JSON, more than ${MAX_STEP_RESULT_BYTES}`
      : `with this result, the results of the run have more than ${MAX_RUN_RESULT_BYTES} bytes of JSON`;
  const message = `${limit}; store it elsewhere and give a reference`;
  return { state: "failed", error: { code: "E_MESSAGE_TOO_LARGE", message, failureClass: "invalid" } };
}

function forgotten(): AttemptOutcome {
  const message = "the queue does not know its task any more";
  return { state: "failed", error: { code: "E_TASK_NOT_FOUND", message, failureClass: "not-found" } };
}
