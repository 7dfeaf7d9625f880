/** Asking where the running code is. All of these work outside of every nursery too, on the system clock. */
import { strip } from "./cancelled.ts";
import { type CancelScope, currentFrame } from "./scope.ts";
import type { Task } from "./task.ts";

/**
 * The innermost cancel scope around the caller.
 *
 * @throws EscapedTaskError if it has ended
 */
export function currentScope(): CancelScope {
  return currentFrame().scope;
}

/** The signal of {@link currentScope}, for a foreign call. Prefer `abortable`. */
export function currentSignal(): AbortSignal {
  return currentFrame().scope.signal;
}

/** The task that the caller runs in; `undefined` outside of any. */
export function currentTask(): Task | undefined {
  return currentFrame().task;
}

/** Milliseconds on the clock that deadlines here are measured by. */
export function currentTime(): number {
  return currentFrame().scope.clock.now();
}

/**
 * The first line of a `catch` block that means to handle failures only.
 *
 * An `AbortError` in a scope that was not cancelled is a failure, and is not rethrown.
 */
export function rethrowIfCancelled(error: unknown): void {
  if (currentScope().cancelled && strip(error) !== error) throw error;
}
