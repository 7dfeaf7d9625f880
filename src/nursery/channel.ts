/** A bounded queue between tasks. */
import { currentScope } from "./context.ts";
import { checkpoint, type Fail, type Resume, suspend } from "./suspend.ts";
import { Line } from "./line.ts";

/** The channel was closed: nothing can be sent any more, or everything sent has been received. */
export class ChannelClosedError extends Error {
  override readonly name = "ChannelClosedError";

  constructor() {
    super("the channel is closed");
  }
}

/**
 * After this many items a receiver lets a turn of the event loop pass. Tasks that feed each other run in
 * microtasks, which would otherwise keep timers, and with them deadlines, from firing.
 */
const ITEMS_PER_TURN = 256;

interface Sender<T> {
  readonly value: T;
  readonly resume: Resume<void>;
  readonly fail: Fail;
}

interface Receiver<T> {
  readonly resume: Resume<IteratorResult<T, undefined>>;
  readonly fail: Fail;
}

/**
 * Carries items from senders to receivers, each to exactly one, in the order of sending.
 *
 * It holds at most `capacity` items; a sender waits for room, with a capacity of 0 for a receiver.
 * Senders and receivers are served first come, first served. Cancellation is clean: a receive
 * that was cancelled has taken no item, a send that was cancelled has left none.
 */
export class Channel<T> implements AsyncIterable<T, undefined> {
  readonly capacity: number;
  readonly #items = new Line<{ readonly value: T }>();
  #received = 0;
  readonly #senders = new Line<Sender<T>>();
  readonly #receivers = new Line<Receiver<T>>();
  #end: { readonly error: unknown } | undefined;

  /** @throws RangeError unless `capacity` is a whole number of at least 0, or `Infinity` */
  constructor(capacity: number) {
    if (capacity !== Infinity && (!Number.isInteger(capacity) || capacity < 0)) {
      throw new RangeError("capacity must be a whole number of at least 0, or Infinity");
    }
    this.capacity = capacity;
  }

  /** How many items are held. */
  get size(): number {
    return this.#items.size;
  }

  /** Whether {@link close} was called; items may still be held. */
  get closed(): boolean {
    return this.#end !== undefined;
  }

  /**
   * Sends `value`, and waits until there is room for it; a cancellation point.
   *
   * @throws {@link ChannelClosedError}, or the error given to `close`, if the channel is closed before the item was taken in
   */
  async send(value: T): Promise<void> {
    currentScope().throwIfCancelled();
    if (this.trySend(value)) return;
    if (this.#end) throw this.#closedError(this.#end);
    await suspend<void>((resume, fail) => {
      const leave = this.#senders.add({ value, resume, fail });
      return (reason) => {
        leave();
        fail(reason);
      };
    });
  }

  /** Sends `value` if there is room now and the channel is open; `false` if not. May be called from anywhere. */
  trySend(value: T): boolean {
    if (this.#end) return false;
    const receiver = this.#receivers.take();
    if (receiver) {
      receiver.resume({ done: false, value });
      return true;
    }
    if (this.size >= this.capacity) return false;
    this.#items.add({ value });
    return true;
  }

  /**
   * Takes the next item, and waits until there is one; a cancellation point.
   *
   * @throws {@link ChannelClosedError}, or the error given to `close`, when the channel is closed and empty
   */
  async receive(): Promise<T> {
    const next = await this.#next();
    if (next.done) throw new ChannelClosedError();
    return next.value;
  }

  /**
   * Ends the channel: what it holds is still received, what waits to be sent is refused. The first call counts.
   *
   * @param error - thrown to receivers and senders; absent means a plain end, at which iteration stops
   */
  close(error?: unknown): void {
    if (this.#end) return;
    this.#end = { error };
    for (let sender = this.#senders.take(); sender; sender = this.#senders.take())
      sender.fail(this.#closedError(this.#end));
    for (let receiver = this.#receivers.take(); receiver; receiver = this.#receivers.take()) {
      if (error === undefined) receiver.resume({ done: true, value: undefined });
      else receiver.fail(error);
    }
  }

  /** Receives until the channel is closed and empty. Leaving the loop does not close the channel. */
  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    return { next: () => this.#next() };
  }

  async #next(): Promise<IteratorResult<T, undefined>> {
    if (++this.#received % ITEMS_PER_TURN === 0) await checkpoint();
    else currentScope().throwIfCancelled();

    const held = this.#items.take();
    if (held) {
      this.#admit();
      return { done: false, value: held.value };
    }
    const sender = this.#senders.take();
    if (sender) {
      sender.resume();
      return { done: false, value: sender.value };
    }
    if (!this.#end) return this.#wait();
    if (this.#end.error !== undefined) throw this.#end.error;
    return { done: true, value: undefined };
  }

  #wait(): Promise<IteratorResult<T, undefined>> {
    return suspend<IteratorResult<T, undefined>>((resume, fail) => {
      const leave = this.#receivers.add({ resume, fail });
      return (reason) => {
        leave();
        fail(reason);
      };
    });
  }

  /** Takes in the item of the sender that has waited longest. */
  #admit(): void {
    const sender = this.#senders.take();
    if (!sender) return;
    this.#items.add(sender);
    sender.resume();
  }

  #closedError(end: { readonly error: unknown }): unknown {
    return end.error ?? new ChannelClosedError();
  }
}
