/** Why a run and its steps are where they are, in sentences. */
import type { TaskQueue } from "../../task/queue.ts";
import type { Task } from "../../task/task.ts";
import { placementOfStep } from "./placement.ts";
import type { Run } from "./state.ts";
import { isOver, type StepRun, type Unit } from "./step-run.ts";
import type { RunRow } from "./store.ts";
import { itemCounts } from "./view.ts";
import {
  MAX_TASKS_EXPLAINED,
  type RunExplanation,
  type StepExplanation,
  type StepTask,
} from "./workflows.ts";

/** Names whom the network wants to do a task, and why; undefined if it has no opinion. The seam for the scheduler. */
export type OwnerOf = (task: Task) => Promise<string | undefined>;

/** What an explanation looks at. */
export interface ExplainOptions {
  readonly queue: Pick<TaskQueue, "get">;
  readonly ownerOf: OwnerOf;
  readonly nowMs: number;
}

/** Explains a run. */
export async function explainRun(row: RunRow, run: Run, options: ExplainOptions): Promise<RunExplanation> {
  const steps = await Promise.all([...run.steps.values()].map((step) => explainStep(run, step, options)));
  return { runId: run.id, state: run.state, why: whyRun(row, run, options.nowMs), steps };
}

function whyRun({ conductor, conductedUntilMs }: RunRow, run: Run, nowMs: number): string {
  if (run.state !== "running") {
    const because = run.error ? `: ${run.error.message}` : "";
    return `the run has ${run.state}${because}`;
  }
  if (run.cancelling !== undefined) return `the run is being cancelled: ${run.cancelling || "on request"}`;
  if (conductor === undefined)
    return "nobody conducts the run at the moment; the next node that is free will";
  const leftS = Math.max(0, Math.round(((conductedUntilMs ?? nowMs) - nowMs) / 1000));
  return `${conductor} conducts the run, and holds it for ${leftS} s more if it does not renew`;
}

async function explainStep(run: Run, step: StepRun, options: ExplainOptions): Promise<StepExplanation> {
  const tasks = await Promise.all(openUnits(step).map((one) => explainTask(step, one, options)));
  return {
    id: step.step.id,
    state: step.state,
    placement: placementOfStep(step.step, run.workflow),
    why: whyStep(run, step),
    tasks,
  };
}

interface OpenUnit {
  readonly index: number;
  readonly unit: Unit;
}

function openUnits(step: StepRun): readonly OpenUnit[] {
  const open = ["submitting", "running", "stopping"];
  return step.units
    .flatMap((unit, index) => (open.includes(unit.phase) ? [{ index, unit }] : []))
    .slice(0, MAX_TASKS_EXPLAINED);
}

function whyStep(run: Run, step: StepRun): string {
  switch (step.state) {
    case "waiting":
      return whyWaiting(run, step);
    case "running":
      return whyRunning(step);
    case "asking":
      return `it waits for an answer to: ${step.question ?? ""}`;
    case "completed":
      return step.answer ? `${step.answer.by} said yes` : "its work is done";
    case "failed":
      return step.error ? `${step.error.message} (${step.error.code})` : "it failed";
    case "skipped":
      return step.why ?? "it was skipped";
    case "cancelled":
      break;
  }
  return "the run was cancelled before it was done";
}

function whyWaiting(run: Run, step: StepRun): string {
  const open = step.dependencies.filter((id) => !isOver(run.step(id).state));
  return open.length === 0
    ? "it is about to begin"
    : `it waits for ${open.map((id) => `'${id}'`).join(", ")}`;
}

function whyRunning(step: StepRun): string {
  if (step.items) {
    const { total, completed, failed, open } = itemCounts(step);
    return `${completed} of ${total} items are done, ${failed} failed, ${open} are under way`;
  }
  const [unit] = step.units;
  return unit && unit.attempt > unit.floor + 1
    ? `attempt ${unit.attempt - unit.floor} is under way, after: ${unit.error?.message ?? "a failure"}`
    : "its task is under way";
}

async function explainTask(
  step: StepRun,
  { index, unit }: OpenUnit,
  options: ExplainOptions,
): Promise<StepTask> {
  const { queue, ownerOf, nowMs } = options;
  const { taskId = "", attempt } = unit;
  const item = step.items === undefined ? {} : { item: index };
  const task = taskId === "" ? undefined : await queue.get(taskId);
  if (!task) {
    const why = taskId === "" ? "it is being put into the queue" : "the queue does not know it any more";
    return { taskId, ...item, attempt, why };
  }
  const { state, workerId, leaseUntilMs } = task;
  const why = state === "queued" ? whyQueued(task, await ownerOf(task), nowMs) : whyHeld(task, nowMs);
  return {
    taskId,
    ...item,
    attempt,
    state,
    ...(state === "running" && workerId !== undefined && { workerId }),
    ...(leaseUntilMs !== undefined && { leaseUntilMs }),
    why,
  };
}

function whyQueued({ type, notBeforeMs, error }: Task, owner: string | undefined, nowMs: number): string {
  if (notBeforeMs !== undefined && notBeforeMs > nowMs) {
    const after = error ? ` after: ${error.message}` : "";
    return `it begins in ${Math.ceil((notBeforeMs - nowMs) / 1000)} s${after}`;
  }
  return owner ?? `it waits for a worker that takes tasks of type ${type}`;
}

function whyHeld(
  { state, workerId = "?", leaseUntilMs = 0, attempt, maxAttempts }: Task,
  nowMs: number,
): string {
  if (state !== "running") return `its task has ${state}`;
  const leftS = Math.max(0, Math.round((leaseUntilMs - nowMs) / 1000));
  const times = attempt > 1 ? `, for the ${attempt}. of ${maxAttempts} times` : "";
  return `worker ${workerId} claimed it${times}, and holds it for ${leftS} s more if it does not renew`;
}
