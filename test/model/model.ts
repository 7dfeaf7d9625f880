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
  /** Its lease ran out, and nobody else was given it since. */
  lapsed: boolean;
}

/** A lease that somebody was given, in force or not. */
export interface ModelLease {
  readonly task: ModelTask;
  readonly token: number;
  /** How it ended its task: then saying the same again is harmless. */
  settledAs: "completed" | "failed" | undefined;
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
    Object.assign(task, {
      state: "running",
      attempt: task.attempt + 1,
      token: task.token + 1,
      lapsed: false,
    });
    task.dueMs = this.nowMs + leaseMs;
    this.leases.push({ task, token: task.token, settledAs: undefined });
  }

  /** Ends the leases whose time is over. */
  expire(): void {
    for (const task of this.tasks) {
      if (task.state !== "running" || task.dueMs > this.nowMs) continue;
      if (task.attempt < MAX_ATTEMPTS) Object.assign(task, { state: "queued", lapsed: true });
      else Object.assign(task, { state: "failed", dead: true });
    }
  }

  isHeld({ task, token }: ModelLease): boolean {
    return task.state === "running" && task.token === token;
  }

  /** Whether a lease still counts for completing and renewing: also when it has run out, while nobody else was given the task. */
  stillCounts(lease: ModelLease): boolean {
    const { task, token } = lease;
    return this.isHeld(lease) || (task.lapsed && task.state === "queued" && task.token === token);
  }
}
