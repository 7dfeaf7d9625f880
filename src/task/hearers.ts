/** Everybody in this process who is told what happens in a queue, once it is on disk. */
import type { Clock } from "../clock.ts";
import { Changes } from "./changes.ts";
import type { Claims } from "./claims.ts";
import { laneOf } from "./routing.ts";
import type { Survey } from "./store.ts";
import type { Task } from "./task.ts";
import { TaskWatches } from "./watches.ts";

/** Is told what happens in a queue. */
export interface QueueListener {
  /** A task has completed, failed for good, or was cancelled. */
  ended(taskId: string): void;
  /** Tasks have become ready in a lane; undefined: in more lanes than anybody named. */
  ready(lane: string | undefined): void;
}

/** Claims that wait, waits for results, those who follow tasks or hold leases, and listeners. */
export class Hearers {
  /** Waits for the ends of tasks. */
  readonly watches: TaskWatches;
  /** Those who follow tasks. */
  readonly followed: Changes;
  /** Those who hold leases. */
  readonly leased: Changes;
  readonly #claims: Claims;
  readonly #listeners = new Set<QueueListener>();

  constructor(claims: Claims, get: (taskId: string) => Promise<Task | undefined>, clock: Clock) {
    this.#claims = claims;
    this.watches = new TaskWatches(get, clock);
    this.followed = new Changes(clock);
    this.leased = new Changes(clock);
  }

  /** Whether anybody waits. Listeners do not: they hear what comes. */
  get isWaitedFor(): boolean {
    return this.watches.size > 0 || this.#claims.parked.inUse || this.leased.inUse || this.followed.inUse;
  }

  /** The tasks whose ends somebody waits for. */
  taskIds(): readonly string[] {
    return [...this.watches.taskIds(), ...this.leased.taskIds()];
  }

  /** Tells `listener` from now on. @returns ends that */
  add(listener: QueueListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A task has ended. */
  ended(taskId: string): void {
    this.watches.ended(taskId);
    this.changed(taskId);
    for (const listener of this.#listeners) listener.ended(taskId);
  }

  /** A task has another state, or another lease. */
  changed(taskId: string): void {
    this.leased.changed(taskId);
    this.followed.changed(taskId);
  }

  /** Tasks are ready in a lane. @param tasks - how many; absent if nobody counted them */
  ready(lane: string, tasks?: number): void {
    if (tasks === undefined) this.#claims.announceSome(lane);
    else this.#claims.announce(lane, tasks);
    for (const listener of this.#listeners) listener.ready(lane);
  }

  /** A task can be claimed again. */
  back(task: Task): void {
    this.#claims.back(task);
    for (const listener of this.#listeners) listener.ready(laneOf(task));
  }

  /** Others have changed the store. */
  caughtUp({ endedTaskIds, readyLanes }: Survey): void {
    for (const taskId of endedTaskIds) this.ended(taskId);
    this.followed.allChanged();
    if (readyLanes) for (const lane of readyLanes) this.ready(lane);
    else {
      this.#claims.parked.manyReady();
      for (const listener of this.#listeners) listener.ready(undefined);
    }
  }

  /** Ends every wait. */
  close(): void {
    this.watches.close();
    this.followed.close();
    this.leased.close();
  }
}
