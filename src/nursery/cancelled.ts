/** The errors of structured concurrency, and how cancellations are told from failures. */

/**
 * What every cancellable call of a cancelled scope throws.
 *
 * It has the name and the code of an `AbortError`, so that fetch, Node and other libraries see an abort.
 */
export class Cancelled extends Error {
  override readonly name = "AbortError";
  readonly code = "ABORT_ERR";
}

/** Something was not done within its time. Has the name that `AbortSignal.timeout()` uses. */
export class TimeoutError extends Error {
  override readonly name = "TimeoutError";
  readonly code = "ETIMEDOUT";
}

/** A promise chain outlived the scope it was started in, and then asked the library for something. */
export class EscapedTaskError extends Error {
  override readonly name = "EscapedTaskError";
}

/** A call that needs a task around it was made outside of any. */
export class NoContextError extends Error {
  override readonly name = "NoContextError";
}

/** A task was to be started in a nursery that has ended, or was never opened. */
export class NurseryClosedError extends Error {
  override readonly name = "NurseryClosedError";
}

/** Groups that are known to hold no cancellation, so that nested ones are not searched again at each level. */
const withoutCancellations = new WeakSet<AggregateError>();

/** Whether `error` is our {@link Cancelled} or the `AbortError` of fetch, Node, libp2p or another library. */
export function isCancelled(error: unknown): boolean {
  if (error instanceof Cancelled) return true;
  if (!(error instanceof Error)) return false;
  return error.name === "AbortError" || ("code" in error && error.code === "ABORT_ERR");
}

/**
 * The parts of an error that `using` made of two: a disposer failed after the body did.
 *
 * Node prints neither part of a `SuppressedError`, so groups list both.
 */
export function flatten(error: unknown): unknown[] {
  if (!(error instanceof Error) || error.name !== "SuppressedError") return [error];
  if (!("error" in error) || !("suppressed" in error)) return [error];
  return [...flatten(error.suppressed), ...flatten(error.error)];
}

/** What is left of `error` once every cancellation in it is taken out: `error` itself, a part, or `undefined`. */
export function strip(error: unknown): unknown {
  if (isCancelled(error)) return undefined;
  if (error instanceof AggregateError) return stripGroup(error);
  const parts = flatten(error);
  if (parts.length === 1) return error;
  const kept = remains(parts);
  if (kept.length === parts.length) return error;
  return kept.length < 2 ? kept[0] : new AggregateError(kept, "failed, and so did the cleanup");
}

function stripGroup(group: AggregateError): AggregateError | undefined {
  if (withoutCancellations.has(group)) return group;
  const kept = remains(group.errors);
  if (kept.length === group.errors.length && kept.every((part, i) => part === group.errors[i])) return group;
  return kept.length === 0 ? undefined : new AggregateError(kept, group.message, { cause: group.cause });
}

function remains(errors: readonly unknown[]): unknown[] {
  return errors.map(strip).filter((part) => part !== undefined);
}

/** How many failures the message of a group names. */
const NAMED_FAILURES = 3;

/** How much of each failure the message of a group repeats, in characters: nested groups repeat their messages. */
const NAMED_LENGTH = 200;

/** The group that a nursery throws for `errors`; its `cause` is the first of them. */
export function groupOf(errors: readonly unknown[], name: string): AggregateError {
  const named = errors.slice(0, NAMED_FAILURES).map((error) => String(error).slice(0, NAMED_LENGTH));
  const message = `${errors.length} failed in ${name}: ${named.join("; ")}`;
  return new AggregateError(errors, message, { cause: errors[0] });
}

/** Notes that {@link strip} would find nothing in `group`. */
export function markStripped(group: AggregateError): void {
  withoutCancellations.add(group);
}
