/** A task as callers see it, made from what an engine keeps. Members that say nothing are left out. */
import type { JsonObject } from "../content/json.ts";
import type { LogLine, Task, TaskError, TaskEvent, TaskSummary } from "../task/task.ts";
import { PHASE, type Phase, stateOf } from "./phase.ts";

/** What every engine keeps of a task within quick reach. */
export interface TaskFacts {
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  readonly modelName: string;
  readonly priority: number;
  readonly phase: Phase;
  readonly attempt: number;
  readonly maxAttempts: number;
  /** When a delayed task may begin, or when a lease ends. */
  readonly dueMs: number | undefined;
  readonly workerId: string | undefined;
  readonly idempotencyKey: string | undefined;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly error: TaskError | undefined;
}

/** The parts of a task that only those who ask for the whole task see. */
export interface TaskBodies {
  readonly payload: JsonObject;
  readonly progress: JsonObject | undefined;
  readonly result: JsonObject | undefined;
  readonly logs: readonly LogLine[];
  readonly history: readonly TaskEvent[];
}

/** A task as lists show it. The failure before is hidden while another attempt runs. */
export function summaryOf(facts: TaskFacts): TaskSummary {
  const { dueMs, workerId, idempotencyKey, phase } = facts;
  const error = phase === PHASE.leased || phase === PHASE.completed ? undefined : facts.error;
  return {
    id: facts.id,
    type: facts.type,
    modelName: facts.modelName,
    priority: facts.priority,
    state: stateOf(phase),
    attempt: facts.attempt,
    maxAttempts: facts.maxAttempts,
    createdAtMs: facts.createdAtMs,
    updatedAtMs: facts.updatedAtMs,
    deadLetter: phase === PHASE.dead,
    ...(phase === PHASE.delayed && dueMs !== undefined && { notBeforeMs: dueMs }),
    ...(phase === PHASE.leased && dueMs !== undefined && { leaseUntilMs: dueMs }),
    ...(workerId !== undefined && { workerId }),
    ...(idempotencyKey !== undefined && { idempotencyKey }),
    ...(error !== undefined && { error }),
  };
}

/** A whole task. What an earlier attempt produced is hidden while another runs. */
export function taskOf(facts: TaskFacts, bodies: TaskBodies): Task {
  const { payload, progress, logs, history } = bodies;
  const result = facts.phase === PHASE.leased ? undefined : bodies.result;
  return {
    ...summaryOf(facts),
    payload,
    logs,
    history,
    ...(progress !== undefined && { progress }),
    ...(result !== undefined && { result }),
  };
}
