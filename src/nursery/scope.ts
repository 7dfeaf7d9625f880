/**
 * Cancel scopes: a tree along which cancellation travels down, and the ambient frame that says where in it the code is.
 *
 * The semantics are Trio's. Cancellation is level-triggered: once a scope has a reason, every
 * cancellable call inside throws it, now and later, until the scope that was cancelled has been
 * left. A scope costs little until asked for: its sets, timer and `AbortController` are made on
 * demand, because one is opened for each request.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { type Clock, systemClock } from "../clock.ts";
import { Cancelled, EscapedTaskError, strip } from "./cancelled.ts";
import type { Task } from "./task.ts";

/** How a scope ends by itself, and what reaches into it. */
export interface ScopeOptions {
  /** Cancel the scope this many milliseconds after it is entered; absent means no limit. */
  readonly timeoutMs?: number | undefined;
  /** Cancellation from outside does not reach in. Needs a finite `timeoutMs`. */
  readonly shield?: boolean | undefined;
  /** Cancel the scope when this foreign signal aborts, e.g. that of an HTTP request. */
  readonly signal?: AbortSignal | undefined;
}

/** What came of a scope: the value of its body, or nothing because it was cancelled. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly value: undefined };

/** A function that is given `A` and may or may not be asynchronous. */
export type Body<A, T> = (arg: A) => Promise<T> | T;

/** Called once when cancellation arrives. */
type OnCancel = (reason: Cancelled) => void;

/** Where the running code is: the innermost open scope and the task. */
export interface Frame {
  readonly scope: CancelScope;
  readonly task: Task | undefined;
}

/** Carries the frame along every `await`. */
export const ambient: AsyncLocalStorage<Frame> = new AsyncLocalStorage<Frame>();

/** A region of code that can be cancelled as a whole. It is entered once. */
export class CancelScope {
  /** Whether cancellation from outside is kept out. */
  readonly shield: boolean;
  readonly #timeoutMs: number | undefined;
  readonly #foreign: AbortSignal | undefined;
  #state: "new" | "open" | "closed" = "new";
  #clock: Clock = systemClock;
  #parent: CancelScope | undefined;
  #children: Set<CancelScope> | undefined;
  #waiters: Set<OnCancel> | undefined;
  #controller: AbortController | undefined;
  /** Why this scope itself was cancelled. */
  #own: Cancelled | undefined;
  /** What is in force here: our own reason or one from above. */
  #reason: Cancelled | undefined;
  #caught = false;
  #timedOut = false;
  #deadline = Infinity;
  #disarm: (() => void) | undefined;
  #unlisten: (() => void) | undefined;

  /**
   * @throws RangeError if `timeoutMs` is not a number
   * @throws TypeError if a shield has no finite `timeoutMs`
   */
  constructor(options: ScopeOptions = {}) {
    const { timeoutMs, shield = false, signal } = options;
    if (Number.isNaN(timeoutMs)) throw new RangeError("timeoutMs must not be NaN");
    if (shield && (timeoutMs === undefined || timeoutMs === Infinity)) {
      throw new TypeError("a shield needs a time limit: give timeoutMs");
    }
    this.shield = shield;
    this.#timeoutMs = timeoutMs;
    this.#foreign = signal;
  }

  /** Whether {@link cancel} was called here, the deadline passed, or the foreign signal aborted. */
  get cancelCalled(): boolean {
    return this.#own !== undefined;
  }

  /** Whether the body ended early and this scope absorbed the cancellation. */
  get cancelledCaught(): boolean {
    return this.#caught;
  }

  /** Whether it was this scope's own deadline that cancelled it. */
  get timedOut(): boolean {
    return this.#timedOut;
  }

  /** Whether a cancellable call here would throw now. */
  get cancelled(): boolean {
    return this.#reason !== undefined;
  }

  /** Whether the scope has been left. */
  get closed(): boolean {
    return this.#state === "closed";
  }

  /** Where this scope takes its time from: the clock of the scope around it. */
  get clock(): Clock {
    return this.#clock;
  }

  /** Instant on {@link clock}'s `now()` at which the scope cancels itself, `Infinity` for never; movable while open. */
  get deadline(): number {
    return this.#deadline;
  }

  set deadline(at: number) {
    if (Number.isNaN(at)) throw new RangeError("deadline must not be NaN");
    if (this.shield && at === Infinity) throw new RangeError("a shield needs a time limit");
    this.#deadline = at;
    this.#disarm?.();
    this.#disarm = undefined;
    if (this.#state === "open") this.#arm();
  }

  /** The nearest deadline that no shield hides; `-Infinity` once cancelled. */
  get effectiveDeadline(): number {
    if (this.#reason) return -Infinity;
    let nearest = this.#deadline;
    for (let scope = this.#above(); scope; scope = scope.#above())
      nearest = Math.min(nearest, scope.#deadline);
    return nearest;
  }

  /** Aborts when the scope is cancelled: for foreign calls. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  /**
   * Runs `fn` inside the scope, and absorbs the cancellation if this is the scope that was cancelled.
   *
   * @throws what `fn` throws, without the cancellations that are ours
   * @throws Error if the scope was entered before
   */
  async run<T>(fn: Body<CancelScope, T>): Promise<Outcome<T>> {
    const outer = currentFrame();
    this._enter(outer.scope);
    try {
      return { ok: true, value: await ambient.run({ scope: this, task: outer.task }, fn, this) };
    } catch (error) {
      this.#absorb(error);
      return { ok: false, value: undefined };
    } finally {
      this._exit();
    }
  }

  /** Cancels everything inside; only the first call counts. May be called before entry, and from anywhere. */
  cancel(why = "cancelled", cause?: unknown): void {
    if (this.#own) return;
    this.#own = new Cancelled(why, cause === undefined ? undefined : { cause });
    if (this.#state === "open") this.#deliver(this.#own);
  }

  /** @throws {@link Cancelled} if the scope is cancelled */
  throwIfCancelled(): void {
    if (this.#reason) throw this.#reason;
  }

  /** @internal Why this scope itself was cancelled. */
  get _ownReason(): Cancelled | undefined {
    return this.#own;
  }

  /** @internal What a cancellable call here would throw. */
  get _reason(): Cancelled | undefined {
    return this.#reason;
  }

  /** @internal The cancellation of an enclosing scope, which this one must not absorb. */
  get _outerReason(): Cancelled | undefined {
    const above = this.#above();
    return above && above.#reason;
  }

  /** @internal Opens the scope below `parent`. */
  _enter(parent: CancelScope, clock: Clock = parent.#clock): void {
    if (this.#state !== "new") throw new Error("a CancelScope can be entered only once");
    this.#state = "open";
    this.#clock = clock;
    this._moveTo(parent);
    if (this.#own) this.#deliver(this.#own);
    if (this.#timeoutMs !== undefined)
      this.#deadline = Math.min(this.#deadline, clock.now() + this.#timeoutMs);
    this.#arm();
    if (this.#foreign) this.#listen(this.#foreign);
  }

  /** @internal Puts the scope below another parent, whose state it takes on. */
  _moveTo(parent: CancelScope): void {
    this.#detach();
    this.#parent = parent;
    (parent.#children ??= new Set()).add(this);
    if (parent.#reason && !this.shield) this.#deliver(parent.#reason);
  }

  /** @internal Leaves the scope; neither timer nor listener stays. */
  _exit(): void {
    this.#state = "closed";
    this.#detach();
    this.#disarm?.();
    this.#disarm = undefined;
    this.#unlisten?.();
  }

  /** @internal Notes that a cancellation of this scope was absorbed. */
  _noteCaught(): void {
    this.#caught = true;
  }

  /** @internal Calls `abort` once when cancellation arrives. */
  _addWaiter(abort: OnCancel): void {
    (this.#waiters ??= new Set()).add(abort);
  }

  /** @internal Undoes {@link _addWaiter}. */
  _removeWaiter(abort: OnCancel): void {
    this.#waiters?.delete(abort);
  }

  #detach(): void {
    if (this.#parent) this.#parent.#children?.delete(this);
  }

  #above(): CancelScope | undefined {
    return this.shield ? undefined : this.#parent;
  }

  #absorb(error: unknown): void {
    // When both are cancelled, the outermost scope absorbs: an inner one would let its body go on.
    if (!this.#own || this._outerReason) throw error;
    const rest = strip(error);
    if (rest !== error) this.#caught = true;
    if (rest !== undefined) throw rest;
  }

  #arm(): void {
    if (this.#deadline === Infinity || this.#own) return;
    const leftMs = this.#deadline - this.#clock.now();
    if (leftMs <= 0) {
      this.#timedOut = true;
      this.cancel("deadline passed");
      return;
    }
    // A clock may fire early: the longest timer of Node is 25 days, and its timers round down.
    this.#disarm = this.#clock.schedule(() => {
      this.#disarm = undefined;
      this.#arm();
    }, leftMs);
  }

  #listen(foreign: AbortSignal): void {
    const abort = (): void => this.cancel("signal aborted", foreign.reason);
    if (foreign.aborted) {
      abort();
      return;
    }
    foreign.addEventListener("abort", abort, { once: true });
    this.#unlisten = () => foreign.removeEventListener("abort", abort);
  }

  #deliver(reason: Cancelled): void {
    // A list, not recursion: scopes may nest deeper than the stack.
    const reached: CancelScope[] = [this];
    for (let scope = reached.pop(); scope; scope = reached.pop()) {
      if (scope.#reason) continue;
      scope.#reason = reason;
      scope.#tell(reason);
      for (const child of scope.#children ?? []) if (!child.shield) reached.push(child);
    }
  }

  #tell(reason: Cancelled): void {
    const waiters = this.#waiters;
    this.#waiters = undefined;
    for (const abort of waiters ?? []) abort(reason);
    this.#controller?.abort(reason);
  }
}

const rootFrame: Frame = { scope: new CancelScope(), task: undefined };

/** Where the running code is, `undefined` outside of everything, also if that place has ended. */
export function ambientFrame(): Frame | undefined {
  return ambient.getStore();
}

/** Whether the code of `frame` has gone on after its scope or task had ended. */
export function hasEscaped(frame: Frame): boolean {
  return frame.scope.closed || frame.task?.done === true;
}

/**
 * Where the running code is; outside of everything, a frame that is never cancelled and runs on the system clock.
 *
 * @throws {@link EscapedTaskError} if that place has ended
 */
export function currentFrame(): Frame {
  const frame = ambient.getStore() ?? rootFrame;
  if (hasEscaped(frame)) throw escaped(frame);
  return frame;
}

function escaped(frame: Frame): EscapedTaskError {
  const who = frame.task?.name ?? "code";
  const hint = "await it there, or start it in a nursery that lives longer";
  return new EscapedTaskError(`${who} went on after its scope had ended; ${hint}`);
}
