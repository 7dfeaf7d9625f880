/** What a running task knows of itself. */

/** One child of a nursery, from its start to its end. */
export interface Task {
  /** Given at the start, or the name of its function. */
  readonly name: string;
  /** The nursery that waits for it. */
  readonly nursery: TaskOwner;
  /** Whether its function has ended. */
  readonly done: boolean;
}

/** What a task sees of the nursery it belongs to. */
export interface TaskOwner {
  /** The children that have not ended. */
  readonly tasks: ReadonlySet<Task>;
  /** Aborts when the nursery is cancelled. */
  readonly signal: AbortSignal;
  /** Cancels every child and the body. */
  cancel(why?: string): void;
}
