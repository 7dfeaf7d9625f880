/** What a worker can do: one handler for each task type. */
import type { JsonObject } from "../../content/json.ts";
import type { Task } from "../../task/task.ts";

/** The world of a running handler. */
export interface HandlerContext {
  /** Aborts when the task is cancelled, its lease is lost, or the worker stops. */
  readonly signal: AbortSignal;
  /** Which attempt at the task this is, from 1. */
  readonly attempt: number;
  /** Sets members of the task's progress. Calls that come quickly are sent together. */
  readonly progress: (patch: JsonObject) => void;
  /** Adds a line to the task's log. */
  readonly log: (stream: string, message: string) => void;
}

/** Does the work of one task type. */
export interface Handler {
  /** The canonical type, such as `tool.call`. */
  readonly type: string;
  /** Other names of the type. */
  readonly aliases: readonly string[];
  /** Whether tasks of the type are claimed now; asked at each claim. Default: always. */
  readonly isOpen?: (() => boolean) | undefined;
  /**
   * Does the work. What it throws fails the attempt: for good if the same request would meet it again (failure classes
   * invalid, denied, not-found, conflict, lost) or if it is a `RemoteError` that is `final`, else the task is tried
   * again.
   */
  run(task: Task, context: HandlerContext): Promise<JsonObject>;
}
