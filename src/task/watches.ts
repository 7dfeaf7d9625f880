/**
 * Waits for the end of tasks, by task id.
 *
 * Everybody who waits for one task shares one look at it when they come and one when it ends. A look is shared only
 * with those who came before the end was told; whoever comes later looks anew, so nobody waits for news that has
 * been told already.
 */
import type { Clock } from "../clock.ts";
import { ShuttingDownError, TaskNotFoundError } from "../errors.ts";
import { boundedWait } from "./bounded-wait.ts";
import type { WaitOutcome } from "./queue.ts";
import { isFinished, type Task } from "./task.ts";

type Load = Promise<Task | undefined>;

interface Watch {
  readonly first: Load;
  last: Load | undefined;
  readonly rings: Set<() => void>;
  members: number;
}

/** All waits of one queue. */
export class TaskWatches {
  readonly #load: (taskId: string) => Load;
  readonly #clock: Clock;
  readonly #watches = new Map<string, Watch>();
  #closed = false;

  constructor(load: (taskId: string) => Load, clock: Clock) {
    this.#load = load;
    this.#clock = clock;
  }

  /** How many tasks are waited for. */
  get size(): number {
    return this.#watches.size;
  }

  /** The tasks that are waited for. */
  taskIds(): readonly string[] {
    return [...this.#watches.keys()];
  }

  /**
   * Waits until the task has ended or the time is up.
   *
   * @throws TaskNotFoundError, ShuttingDownError after {@link close}, CancelledError if the signal aborts
   */
  async wait(taskId: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<WaitOutcome> {
    if (this.#closed) throw shuttingDown();
    const watch = this.#join(taskId);
    try {
      const seen = await watch.first;
      if (!seen) throw new TaskNotFoundError(taskId);
      if (isFinished(seen.state)) return { task: seen, finished: true };
      await boundedWait({ clock: this.#clock, timeoutMs, signal }, (ring) => this.#listen(watch, ring));
      if (this.#closed && !watch.last) throw shuttingDown();
      const task = await (watch.last ?? this.#load(taskId));
      if (!task) throw new TaskNotFoundError(taskId);
      return { task, finished: isFinished(task.state) };
    } finally {
      this.#leave(taskId, watch);
    }
  }

  /** Tells that a task has ended. Call it after the store has it on disk. */
  ended(taskId: string): void {
    const watch = this.#watches.get(taskId);
    if (!watch) return;
    this.#watches.delete(taskId);
    watch.last = this.#load(taskId);
    // Those who wait handle a failure; if all of them gave up meanwhile, it concerns nobody.
    watch.last.catch(() => undefined);
    for (const ring of watch.rings) ring();
  }

  /** Ends all waits with a {@link ShuttingDownError}. */
  close(): void {
    this.#closed = true;
    for (const watch of this.#watches.values()) for (const ring of watch.rings) ring();
  }

  #join(taskId: string): Watch {
    const known = this.#watches.get(taskId);
    if (known) {
      known.members++;
      return known;
    }
    const watch: Watch = { first: this.#load(taskId), last: undefined, rings: new Set(), members: 1 };
    this.#watches.set(taskId, watch);
    return watch;
  }

  #leave(taskId: string, watch: Watch): void {
    watch.members--;
    if (watch.members === 0 && this.#watches.get(taskId) === watch) this.#watches.delete(taskId);
  }

  #listen(watch: Watch, ring: () => void): () => void {
    if (watch.last || this.#closed) ring();
    watch.rings.add(ring);
    return () => watch.rings.delete(ring);
  }
}

function shuttingDown(): ShuttingDownError {
  return new ShuttingDownError("the queue is shutting down; the task lives on", {
    hint: "wait again by the task's id once the node is back",
  });
}
