/** Cancel scopes as functions: bounded in time, quietly or loudly, or shielded. */
import { TimeoutError } from "./cancelled.ts";
import { type Body, CancelScope, type Outcome, type ScopeOptions } from "./scope.ts";

/** Runs `fn` in a scope of its own, which it may cancel. */
export function cancelScope<T>(fn: Body<CancelScope, T>, options?: ScopeOptions): Promise<Outcome<T>> {
  return new CancelScope(options).run(fn);
}

/** Runs `fn` for at most `timeoutMs`, and gives up quietly with `{ ok: false }`. */
export function moveOnAfter<T>(timeoutMs: number, fn: Body<CancelScope, T>): Promise<Outcome<T>> {
  return new CancelScope({ timeoutMs }).run(fn);
}

/**
 * Runs `fn` for at most `timeoutMs`.
 *
 * @throws {@link TimeoutError} if it was not done by then, or cancelled its scope
 */
export function failAfter<T>(timeoutMs: number, fn: Body<CancelScope, T>): Promise<T> {
  return valueWithin(timeoutMs, new CancelScope({ timeoutMs }), fn);
}

/**
 * Runs cleanup that cancellation from outside must not interrupt, for at most `timeoutMs`.
 *
 * @throws {@link TimeoutError} if it was not done by then
 */
export function shield<T>(timeoutMs: number, fn: Body<CancelScope, T>): Promise<T> {
  return valueWithin(timeoutMs, new CancelScope({ timeoutMs, shield: true }), fn);
}

async function valueWithin<T>(timeoutMs: number, scope: CancelScope, fn: Body<CancelScope, T>): Promise<T> {
  const outcome = await scope.run(fn);
  if (!outcome.ok) throw new TimeoutError(`not done after ${timeoutMs} ms`);
  return outcome.value;
}
