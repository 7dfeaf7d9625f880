/** The ways in for code that comes from outside: the program's entry, owners with open and close, and asking where one is. */
import { type Clock, systemClock } from "../clock.ts";
import { NoContextError } from "./cancelled.ts";
import { Nursery } from "./nursery.ts";
import {
  ambient,
  ambientFrame,
  type Body,
  CancelScope,
  currentFrame,
  type Frame,
  hasEscaped,
  type Outcome,
} from "./scope.ts";
import { exitCodeOf, onceSignalled } from "./signals.ts";
import { sleepForever } from "./suspend.ts";

/** How {@link run} begins. */
export interface RunOptions {
  /** Where everything inside takes its time from; absent means the caller's clock, outside of all the system's. */
  readonly clock?: Clock | undefined;
  /** Process signals of which the first cancels everything and sets the exit code; the second kills. */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
}

/**
 * Enters structured concurrency: runs `main` in a cancel scope of its own.
 *
 * Called inside a task it is one more scope below the caller's. Called by code whose task has ended it starts afresh.
 *
 * @returns the value of `main`, or `{ ok: false }` if it was cancelled, by a signal or through its scope
 */
export async function run<T>(main: Body<CancelScope, T>, options: RunOptions = {}): Promise<Outcome<T>> {
  const { signals = [] } = options;
  const outer = liveFrame();
  const base = new CancelScope();
  base._enter(outer?.scope ?? new CancelScope(), options.clock ?? outer?.scope.clock);
  const scope = new CancelScope();
  const off = onceSignalled(signals, (name) => {
    process.exitCode = exitCodeOf(name);
    scope.cancel(`received ${name}`);
  });
  try {
    return await ambient.run({ scope: base, task: outer?.task }, () => scope.run(main));
  } finally {
    off();
    base._exit();
  }
}

/** Whether the caller runs in a task or scope (`task`), in one that has ended (`escaped`), or in `none`. */
export function currentContext(): "none" | "task" | "escaped" {
  const frame = ambientFrame();
  if (!frame) return "none";
  return hasEscaped(frame) ? "escaped" : "task";
}

/**
 * Makes sure that somebody owns the running code.
 *
 * @throws {@link NoContextError} outside of every task
 * @throws EscapedTaskError if the task or scope has ended
 */
export function requireContext(): void {
  if (ambientFrame()) {
    currentFrame();
    return;
  }
  throw new NoContextError(
    "this call requires a task around it: make it inside run() or openNursery(), or enter from a callback with nursery.run()",
  );
}

/** How {@link openHost} begins. */
export interface HostOptions {
  /** Where the tasks take their time from; absent means the caller's clock, outside of all the system's. */
  readonly clock?: Clock | undefined;
  /** For messages; absent means "nursery". */
  readonly name?: string | undefined;
}

/** A nursery that an object owns, from its open to its close, instead of a block of code. */
export interface NurseryHost extends AsyncDisposable {
  /** Open until {@link close}, or until a child fails. */
  readonly nursery: Nursery;
  /** Settles when the nursery has ended; rejects with its failures, never as an unhandled rejection. */
  readonly ended: Promise<void>;
  /**
   * Cancels every child and waits until all have ended. Idempotent.
   *
   * Must not be awaited by a child of the same nursery, which would wait for itself: cancel the nursery there.
   *
   * @throws AggregateError of the children that failed, at the first call only
   */
  close(): Promise<void>;
}

/**
 * Opens a nursery that lives until its owner closes it.
 *
 * Works inside and outside of any task, and takes on neither scope nor fate of the caller, only the clock.
 */
export function openHost(options: HostOptions = {}): NurseryHost {
  const { clock = ambientFrame()?.scope.clock ?? systemClock, name } = options;
  const base = new CancelScope();
  base._enter(new CancelScope(), clock);
  const nursery = new Nursery(name);
  const ended = ambient.run({ scope: base, task: undefined }, () => hold(nursery, base));
  ended.catch(() => undefined);
  let closing = false;
  const close = async (): Promise<void> => {
    nursery.cancel("closed");
    const first = !closing;
    closing = true;
    if (first) await ended;
    else await Promise.allSettled([ended]);
  };
  return { nursery, ended, close, [Symbol.asyncDispose]: close };
}

async function hold(nursery: Nursery, base: CancelScope): Promise<void> {
  try {
    await nursery._run(sleepForever);
  } finally {
    base._exit();
  }
}

function liveFrame(): Frame | undefined {
  const frame = ambientFrame();
  return frame && !hasEscaped(frame) ? frame : undefined;
}
