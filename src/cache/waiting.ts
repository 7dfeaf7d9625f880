/** The one way in which this room waits for news: for so long, until somebody gives up. */
import type { Clock } from "../clock.ts";
import { CancelledError } from "../errors.ts";
import { suspend } from "../nursery/index.ts";

/** How long a wait may last, and who may end it. */
export interface WaitBounds {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** @throws CancelledError if the caller has given up */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new CancelledError("the caller gave up", { cause: signal.reason });
}

/**
 * Waits until the callback that `subscribe` is given is called, or the time is up.
 *
 * @param subscribe - may call it at once, and returns how to take it back
 * @param late - what it comes to when the time is up
 * @throws CancelledError if the signal aborts
 */
export async function newsWithin<T>(
  { clock, timeoutMs, signal }: WaitBounds,
  subscribe: (tell: (news: T) => void) => () => void,
  late: T,
): Promise<T> {
  throwIfAborted(signal);
  const undo: (() => void)[] = [];
  try {
    return await suspend<T>((resume, fail) => {
      undo.push(subscribe(resume));
      undo.push(clock.schedule(() => resume(late), timeoutMs));
      const onAbort = (): void => fail(new CancelledError("the caller gave up", { cause: signal?.reason }));
      signal?.addEventListener("abort", onAbort, { once: true });
      undo.push(() => signal?.removeEventListener("abort", onAbort));
      return fail;
    });
  } finally {
    for (const step of undo) step();
  }
}
