/**
 * Nurseries: the owners of background work. A nursery ends when its body and every child have ended.
 *
 * A child is a function, not a promise: a promise runs already, and nobody could give it a scope.
 */
import {
  Cancelled,
  flatten,
  groupOf,
  markStripped,
  NurseryClosedError,
  strip,
  TimeoutError,
} from "./cancelled.ts";
import { ambient, type Body, CancelScope, currentFrame, type Outcome, type ScopeOptions } from "./scope.ts";
import type { Task, TaskOwner } from "./task.ts";

/** What a child gets that says when it is ready: see {@link Nursery.start}. */
export interface TaskStatus<T> {
  /** The scope of the child. */
  readonly scope: CancelScope;
  /** The signal of {@link scope}. */
  readonly signal: AbortSignal;
  /**
   * Hands `value` to whoever waits in `start`, and the child to the nursery.
   *
   * @throws Error when called again
   */
  started(value: T): void;
}

interface Failure {
  readonly error: unknown;
  /** Nothing but the consequence of a cancellation of the nursery. */
  readonly cancelled: boolean;
}

/** The task as its nursery sees it. */
interface RunningTask extends Task {
  done: boolean;
}

/** How a child is started, and who hears of its end. */
interface Spawn {
  readonly name: string;
  readonly scope: CancelScope;
  readonly fn: Body<CancelScope, unknown>;
  readonly onError: (error: unknown) => void;
  readonly onEnd?: () => void;
}

/** Owns tasks: waits for them, cancels them together, gathers their failures. Made by `openNursery` and `openHost`. */
export class Nursery implements TaskOwner {
  /** The scope around the body and every child. */
  readonly scope: CancelScope = new CancelScope();
  readonly #name: string;
  readonly #tasks = new Set<Task>();
  #failures: Failure[] | undefined;
  #state: "new" | "open" | "closed" = "new";
  #wake: (() => void) | undefined;
  readonly #onError = (error: unknown): void => this.#fail(error);

  /** @internal Use `openNursery` or `openHost`. */
  constructor(name = "nursery") {
    this.#name = name;
  }

  /** The children that have not ended. */
  get tasks(): ReadonlySet<Task> {
    return this.#tasks;
  }

  /** Aborts when the nursery is cancelled. */
  get signal(): AbortSignal {
    return this.scope.signal;
  }

  /** Cancels the body and every child. Idempotent. */
  cancel(why?: string): void {
    this.scope.cancel(why);
  }

  /**
   * Starts `fn` as a child, which first runs after the caller has gone on.
   *
   * Its failure cancels the nursery and comes out of it. May be called from anywhere, also from event callbacks.
   *
   * @param name - for messages; absent means that of the function
   * @throws {@link NurseryClosedError} after the nursery has ended
   */
  startSoon(fn: Body<CancelScope, unknown>, name: string = fn.name || "task"): void {
    this.#spawn({ fn, name, scope: this.scope, onError: this.#onError });
  }

  /**
   * Starts `fn` as a child whose result and failure go to the returned promise, not to the nursery.
   *
   * The way in for handlers that a framework calls: from anywhere, inside or outside of any task.
   * The call runs in a scope of its own below the nursery, not below the caller's.
   *
   * @throws {@link TimeoutError} if it was not done within `timeoutMs`
   * @throws {@link Cancelled} if `signal` aborted, or the nursery or the scope was cancelled
   * @throws {@link NurseryClosedError} after the nursery has ended
   */
  run<T>(fn: Body<CancelScope, T>, options?: ScopeOptions, name: string = fn.name || "call"): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const scope = new CancelScope(options);
      let outcome: Outcome<T> = { ok: false, value: undefined };
      let failure: { readonly error: unknown } | undefined;
      const call = async (): Promise<void> => {
        outcome = await scope.run(fn);
      };
      const onError = (error: unknown): void => {
        failure = { error };
      };
      const onEnd = (): void => {
        if (failure) reject(failure.error);
        else if (outcome.ok) resolve(outcome.value);
        else if (!scope.timedOut) reject(scope._ownReason);
        else reject(new TimeoutError(`${name}: not done after ${options?.timeoutMs ?? 0} ms`));
      };
      this.#spawn({ fn: call, name, scope: this.scope, onError, onEnd });
    });
  }

  /**
   * Starts `fn` and waits until it calls `started(value)`.
   *
   * Until then it is the caller's child, cancelled with the caller and failing to the caller; afterwards the nursery's.
   *
   * @throws Error if `fn` ended without having called `started`
   * @throws {@link NurseryClosedError} after the nursery has ended
   */
  start<T>(fn: Body<TaskStatus<T>, unknown>, name: string = fn.name || "task"): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const caller = currentFrame().scope;
      const scope = new CancelScope();
      let ready: { readonly value: T } | undefined;
      let moved = false;
      const status: TaskStatus<T> = {
        scope,
        get signal() {
          return scope.signal;
        },
        started: (value) => {
          if (ready) throw new Error("started() called twice");
          ready = { value };
          // In a cancelled caller the child ends under start(): nothing half-cancelled is handed over.
          if (caller.cancelled) return;
          moved = true;
          scope._moveTo(this.scope);
          resolve(value);
        },
      };
      const onEnd = (): void => {
        scope._exit();
        if (ready) resolve(ready.value);
        else reject(new Error(`${name} exited without calling started()`));
      };
      const onError = (error: unknown): void => (moved ? this.#fail(error) : reject(error));
      this.#spawn({ fn: () => fn(status), name, scope, onError, onEnd });
      scope._enter(caller, this.scope.clock);
    });
  }

  /** @internal Runs `body` in the nursery, and then waits for every child. */
  async _run<T>(body: Body<Nursery, T>): Promise<T | undefined> {
    const outer = currentFrame();
    let value: T | undefined;
    this.scope._enter(outer.scope);
    this.#state = "open";
    try {
      value = await ambient.run({ scope: this.scope, task: outer.task }, body, this);
    } catch (error) {
      this.#fail(error);
    }
    while (this.#tasks.size > 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#state = "closed";
    this.scope._exit();
    if (!this.#failures) return value;
    this.#throwFailures(this.#failures);
    return undefined;
  }

  #spawn(spawn: Spawn): void {
    if (typeof spawn.fn !== "function")
      throw new TypeError("a nursery starts functions, not promises: write () => work()");
    if (this.#state === "new")
      throw new NurseryClosedError("the nursery is not open: use openNursery or openHost");
    if (this.#state === "closed") throw new NurseryClosedError("the nursery is closed to new tasks");
    const task: RunningTask = { name: spawn.name, nursery: this, done: false };
    this.#tasks.add(task);
    void ambient.run({ scope: spawn.scope, task }, runTask, spawn, task, this.#ended);
  }

  readonly #ended = (task: Task): void => {
    this.#tasks.delete(task);
    if (this.#tasks.size === 0) this.#wake?.();
  };

  #fail(error: unknown): void {
    this.#failures ??= [];
    for (const part of flatten(error)) {
      const cancelled = this.scope.cancelled && strip(part) === undefined;
      this.#failures.push({ error: part, cancelled });
    }
    this.scope.cancel("a task of the nursery failed", error);
  }

  #throwFailures(failures: readonly Failure[]): void {
    const outer = this.scope._outerReason;
    const failed = failures.filter((failure) => !failure.cancelled).map((failure) => failure.error);
    if (outer) throwWithin(outer, failed, failed.length < failures.length, this.#name);

    // An abort that nobody here asked for is a failure, so one of nothing but aborts is left whole.
    const kept = failed.map((error) => strip(error) ?? error);
    const caught = failed.length < failures.length || kept.some((error, i) => error !== failed[i]);
    if (caught) this.scope._noteCaught();
    if (kept.length === 0) return;
    const group = groupOf(kept, this.#name);
    if (kept.every((error) => strip(error) === error)) markStripped(group);
    throw group;
  }
}

const soon = Promise.resolve();

/** The life of a child. It begins "soon", so that its starter goes on first. */
async function runTask(spawn: Spawn, task: RunningTask, ended: (task: Task) => void): Promise<void> {
  try {
    await soon;
    await spawn.fn(spawn.scope);
  } catch (error) {
    spawn.onError(error);
  }
  task.done = true;
  ended(task);
  spawn.onEnd?.();
}

/** Under a cancellation from outside, that cancellation stays among the failures, for its owner to absorb. */
function throwWithin(outer: Cancelled, failed: readonly unknown[], cancelled: boolean, name: string): never {
  if (failed.length === 0) throw outer;
  throw groupOf(cancelled ? [...failed, outer] : failed, name);
}

/**
 * Runs `body` with a nursery, and ends when the body and every child have ended.
 *
 * @returns what `body` returned; `undefined` if the nursery was cancelled before
 * @throws AggregateError of all that failed, whose `cause` is the first failure
 */
export function openNursery<T>(body: Body<Nursery, T>): Promise<T | undefined> {
  return new Nursery()._run(body);
}
