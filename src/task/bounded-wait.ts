/** The one way in which this room waits: for an event, for so long, until somebody gives up. */
import type { Clock } from "../clock.ts";
import { CancelledError } from "../errors.ts";
import { suspend } from "../nursery/index.ts";

/** How long a wait may last (0 or less: look, but do not wait) and who may end it. */
export interface WaitBounds {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Returns if nobody gave up yet. @throws CancelledError */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new CancelledError("the caller gave up", { cause: signal.reason });
}

/**
 * Waits until `subscribe`'s callback is called or the time is up. Ends early when the enclosing scope is cancelled.
 *
 * @param subscribe - is given the callback, may call it at once, and returns how to take it back
 * @returns whether the callback was called in time
 * @throws CancelledError if the signal aborts
 */
export async function boundedWait(
  { clock, timeoutMs, signal }: WaitBounds,
  subscribe: (ring: () => void) => () => void,
): Promise<boolean> {
  throwIfAborted(signal);
  const undo: (() => void)[] = [];
  try {
    return await suspend<boolean>((resume, fail) => {
      undo.push(subscribe(() => resume(true)));
      if (timeoutMs <= 0) resume(false);
      else undo.push(clock.schedule(() => resume(false), timeoutMs));
      const onAbort = (): void => fail(new CancelledError("the caller gave up", { cause: signal?.reason }));
      signal?.addEventListener("abort", onAbort, { once: true });
      undo.push(() => signal?.removeEventListener("abort", onAbort));
      return fail;
    });
  } finally {
    for (const step of undo) step();
  }
}

/** Waits for `clock`'s time to pass. @throws CancelledError if the signal aborts */
export async function pause(bounds: WaitBounds): Promise<void> {
  await boundedWait(bounds, () => () => undefined);
}
