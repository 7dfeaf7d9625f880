/** Where a task waits, and may be cancelled while it does. A plain `await` is no such place. */
import { Cancelled, isCancelled } from "./cancelled.ts";
import { type Body, currentFrame } from "./scope.ts";

/** Ends a wait with a value. */
export type Resume<T> = (value: T) => void;

/** Ends a wait with an error. */
export type Fail = (error: unknown) => void;

/** Is called once on cancellation; must see to it that the wait ends, now or soon. */
export type Abort = (reason: Cancelled) => void;

/**
 * The one primitive that everything else waits by: begins something in `body` and waits until it ends the wait.
 *
 * On cancellation the returned abort is called once. It calls `fail(reason)` itself, or waits for
 * work that cannot be stopped: the task is held until then.
 *
 * @throws {@link Cancelled} if the scope is cancelled already; `body` is not called then
 */
export function suspend<T>(body: (resume: Resume<T>, fail: Fail) => Abort): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const { scope } = currentFrame();
    scope.throwIfCancelled();
    let settled = false;
    let abort: Abort | undefined;
    const resume = (value: T): void => {
      settled = true;
      scope._removeWaiter(onCancel);
      resolve(value);
    };
    const fail = (error: unknown): void => {
      settled = true;
      scope._removeWaiter(onCancel);
      reject(error);
    };
    const onCancel = (reason: Cancelled): void => {
      if (settled) return;
      try {
        abort?.(reason);
      } catch (error) {
        fail(error);
      }
    };
    abort = body(resume, fail);
    if (settled) return;
    // The body itself may have cancelled the scope, before there was anything to tell.
    const reason = scope._reason;
    if (reason) onCancel(reason);
    else scope._addWaiter(onCancel);
  });
}

/** A timer may fire this much early, in milliseconds, and still count: Node's round down. */
const TIMER_SLACK_MS = 1;

/**
 * Waits for `ms` milliseconds on the clock of the scope; `Infinity` waits for cancellation.
 *
 * @throws RangeError if `ms` is not a number
 */
export function sleep(ms: number): Promise<void> {
  return suspend<void>((resume, fail) => {
    if (Number.isNaN(ms)) throw new RangeError("ms must not be NaN");
    const { clock } = currentFrame().scope;
    const until = clock.now() + ms;
    let undo: (() => void) | undefined;
    const wait = (leftMs: number): void => {
      undo = clock.schedule(() => {
        // The longest timer of Node is 25 days: a longer sleep takes several.
        const left = until - clock.now();
        if (left >= TIMER_SLACK_MS) wait(left);
        else resume();
      }, leftMs);
    };
    if (ms !== Infinity) wait(ms);
    return (reason) => {
      undo?.();
      fail(reason);
    };
  });
}

/** Waits until it is cancelled. */
export function sleepForever(): Promise<never> {
  return suspend<never>((_resume, fail) => fail);
}

/** Lets one turn of the event loop pass: a place to be cancelled in long computations. */
export function checkpoint(): Promise<void> {
  return suspend<void>((resume, fail) => {
    const turn = setImmediate(resume);
    return (reason) => {
      clearImmediate(turn);
      fail(reason);
    };
  });
}

/**
 * Makes a foreign call that takes a signal.
 *
 * Once the scope is cancelled, however the call rejects counts as the cancellation: some libraries wrap the abort.
 */
export async function abortable<T>(fn: Body<AbortSignal, T>): Promise<T> {
  const { scope } = currentFrame();
  scope.throwIfCancelled();
  try {
    return await fn(scope.signal);
  } catch (error) {
    if (!scope.cancelled || isCancelled(error)) throw error;
    throw new Cancelled("cancelled during a foreign call", { cause: error });
  }
}

/**
 * Waits for work that cannot be cancelled, and on cancellation stops waiting while the work goes on.
 *
 * @param onLate - learns how abandoned work ended; absent means that nobody does
 */
export function abandonOnCancel<T>(
  work: PromiseLike<T>,
  onLate: (result: PromiseSettledResult<T>) => void = () => undefined,
): Promise<T> {
  let onEnd = onLate;
  // Listened to before the wait begins, which a cancelled scope refuses: the work must not go unheard.
  void work.then(
    (value) => onEnd({ status: "fulfilled", value }),
    (reason: unknown) => onEnd({ status: "rejected", reason }),
  );
  return suspend<T>((resume, fail) => {
    onEnd = (result) => (result.status === "fulfilled" ? resume(result.value) : fail(result.reason));
    return (reason) => {
      onEnd = onLate;
      fail(reason);
    };
  });
}
