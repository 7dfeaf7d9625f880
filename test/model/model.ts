/** The rules of the queue over plain arrays: too simple to be wrong. */
import type { TaskState } from "../../src/task/task.ts";

/** How often a task is tried. */
export const MAX_ATTEMPTS = 2;

/** A task, as the model knows it. */
export interface ModelTask {
  readonly id: string;
  readonly key: string;
  readonly type: string;
  readonly priority: number;
  state: TaskState;
  dead: boolean;
  attempt: number;
  token: number;
  /** When it may be claimed, or when its lease ends. */
  dueMs: number;
}

/** A lease that somebody was given, in force or not. */
export interface ModelLease {
  readonly task: ModelTask;
  readonly token: number;
  /** Whether it ended its task: then saying so again is harmless. */
  settled: boolean;
}

/** What the queue must be like. */
export class Model {
  readonly tasks: ModelTask[] = [];
  readonly leases: ModelLease[] = [];
  nowMs = 0;
  keys = 0;

  /** What is ready, in the order in which it is given out. */
  ready(types: readonly string[]): ModelTask[] {
    return this.tasks
      .filter((task) => task.state === "queued" && task.dueMs <= this.nowMs && types.includes(task.type))
      .toSorted((one, other) => other.priority - one.priority);
  }

  lease(task: ModelTask, leaseMs: number): void {
    Object.assign(task, { state: "running", attempt: task.attempt + 1, token: task.token + 1 });
    task.dueMs = this.nowMs + leaseMs;
    this.leases.push({ task, token: task.token, settled: false });
  }

  /** Ends the leases whose time is over. */
  expire(): void {
    for (const task of this.tasks) {
      if (task.state !== "running" || task.dueMs > this.nowMs) continue;
      if (task.attempt < MAX_ATTEMPTS) task.state = "queued";
      else Object.assign(task, { state: "failed", dead: true });
    }
  }

  isHeld({ task, token }: ModelLease): boolean {
    return task.state === "running" && task.token === token;
  }
}
