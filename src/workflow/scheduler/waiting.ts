/**
 * The tasks that wait at a node, in the order in which they go: higher priority first, then first in, first out.
 *
 * Under `legacy` they come in the order of the original's heap, which is not first in, first out among equals
 * (legacy-order.ts). What it is not allowed to hand out it keeps, where the original would lose it.
 */
import { MAX_PRIORITY } from "../../task/task.ts";
import { LegacyOrder } from "../legacy-order.ts";
import type { PolicyName } from "./policy.ts";
import type { WaitingTask } from "./task.ts";

/**
 * How many tasks one look goes through: those in front that are kept for others. They are free for everybody when their
 * window is over, so whatever is behind them does not wait for long.
 */
export const MAX_LOOKED_AT = 512;

/** A task and since when it waits. */
export interface Waiting extends WaitingTask {
  /** When it became free for whoever takes it, in milliseconds since 1970. */
  readonly readyAtMs: number;
}

/** The tasks that wait. */
export class WaitingTasks {
  /** By priority, each in the order of their ids, which grow with time. */
  readonly #lines = new Map<number, Waiting[]>();
  readonly #byTaskId = new Map<string, Waiting>();
  readonly #heap: LegacyOrder<Waiting> | undefined;

  constructor(policy: PolicyName) {
    this.#heap = policy === "legacy" ? new LegacyOrder() : undefined;
  }

  get size(): number {
    return this.#byTaskId.size;
  }

  get(taskId: string): Waiting | undefined {
    return this.#byTaskId.get(taskId);
  }

  /** Adds a task; one of the same id is replaced. */
  add(task: Waiting): void {
    this.remove(task.taskId);
    this.#byTaskId.set(task.taskId, task);
    const line = this.#lines.get(task.priority) ?? [];
    line.splice(placeOf(line, task.queueId), 0, task);
    this.#lines.set(task.priority, line);
    this.#heap?.push(MAX_PRIORITY - task.priority, task);
  }

  /** @returns the task that was there */
  remove(taskId: string): Waiting | undefined {
    const task = this.#byTaskId.get(taskId);
    if (!task) return undefined;
    this.#byTaskId.delete(taskId);
    const line = this.#lines.get(task.priority) ?? [];
    const place = placeOf(line, task.queueId);
    if (line[place] === task) line.splice(place, 1);
    return task;
  }

  /** The first task that passes, which stays. */
  find(test: (task: Waiting) => boolean): Waiting | undefined {
    let looked = 0;
    for (let priority = MAX_PRIORITY; priority > 0; priority--) {
      for (const task of this.#lines.get(priority) ?? []) {
        if (test(task)) return task;
        looked += 1;
        if (looked >= MAX_LOOKED_AT) return undefined;
      }
    }
    return undefined;
  }

  /** Takes the first task that passes out. */
  take(test: (task: Waiting) => boolean): Waiting | undefined {
    const taken = this.#heap ? this.#pop(this.#heap, test) : this.find(test);
    if (taken) this.remove(taken.taskId);
    return taken;
  }

  /** The tasks in order, at most `limit`. */
  list(limit: number): readonly Waiting[] {
    const listed: Waiting[] = [];
    this.find((task) => {
      listed.push(task);
      return listed.length >= limit;
    });
    return listed;
  }

  #pop(heap: LegacyOrder<Waiting>, test: (task: Waiting) => boolean): Waiting | undefined {
    const kept: Waiting[] = [];
    try {
      while (kept.length < MAX_LOOKED_AT) {
        const task = heap.pop();
        if (!task) return undefined;
        // Those that were removed or replaced are still in the heap.
        if (this.#byTaskId.get(task.taskId) !== task) continue;
        if (test(task)) return task;
        kept.push(task);
      }
      return undefined;
    } finally {
      for (const task of kept) heap.push(MAX_PRIORITY - task.priority, task);
    }
  }
}

/** Where a task of this id is in a line, or belongs. */
function placeOf(line: readonly Waiting[], queueId: string): number {
  let [low, high] = [0, line.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((line[middle]?.queueId ?? "") < queueId) low = middle + 1;
    else high = middle;
  }
  return low;
}
