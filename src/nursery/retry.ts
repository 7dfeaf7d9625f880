/** Trying again what failed. */
import { type Backoff, pauseAfter } from "./backoff.ts";
import { Cancelled } from "./cancelled.ts";
import { currentScope } from "./context.ts";
import { sleep } from "./suspend.ts";

/** What {@link RetryOptions.onRetry} learns before each pause. */
export interface RetryFacts {
  /** What the attempt failed with. */
  readonly error: unknown;
  /** How many attempts have failed, from 1. */
  readonly failures: number;
  /** The pause that follows, in milliseconds. */
  readonly pauseMs: number;
}

/** When and how often {@link retry} tries again. */
export interface RetryOptions extends Backoff {
  /** How often it is tried again after the first attempt. Default 3. */
  readonly times?: number | undefined;
  /** No attempt begins later than this many milliseconds after the first. Absent means no limit. */
  readonly budgetMs?: number | undefined;
  /** Whether trying again makes sense after this error. Absent means after any. */
  readonly retryIf?: ((error: unknown) => boolean) | undefined;
  /** Is told of each failure that is followed by another attempt. */
  readonly onRetry?: ((facts: RetryFacts) => void) | undefined;
}

/** Enough for a disturbance of a second with the default pauses. */
const DEFAULT_TIMES = 3;

/**
 * Calls `fn` until it succeeds, with growing pauses in between.
 *
 * A cancellation is never retried, and cancels a pause. An `AbortError` that nobody here asked for is a failure.
 *
 * @param fn - gets the number of the attempt, from 1
 * @throws what the last attempt failed with
 */
export async function retry<T>(
  fn: (attempt: number) => Promise<T> | T,
  options: RetryOptions = {},
): Promise<T> {
  const { times = DEFAULT_TIMES, budgetMs = Infinity, retryIf = () => true, onRetry } = options;
  const scope = currentScope();
  const until = scope.clock.now() + budgetMs;
  for (let failures = 1; ; failures++) {
    try {
      return await fn(failures);
    } catch (error) {
      if (scope.cancelled || error instanceof Cancelled) throw error;
      if (failures > times || !retryIf(error)) throw error;
      const pauseMs = pauseAfter(failures, options);
      if (scope.clock.now() + pauseMs > until) throw error;
      onRetry?.({ error, failures, pauseMs });
      await sleep(pauseMs);
    }
  }
}
