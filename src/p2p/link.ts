/**
 * The one stream to a peer that our calls share.
 *
 * Many calls are unanswered at once; beyond the limit they wait in order. A call that the peer may have got fails
 * with ConnectionLostError when the stream breaks, one that never left with UnreachableError, so that whoever
 * made it knows whether it may be made again.
 */
import type { Stream } from "@libp2p/interface";
import type { Clock } from "../clock.ts";
import type { JsonObject } from "../content/json.ts";
import {
  BusyError,
  CancelledError,
  ConnectionLostError,
  MethodNotFoundError,
  PeerTimeoutError,
  type RemoteError,
  UnreachableError,
  errorFacts,
} from "../errors.ts";
import { suspend } from "../nursery/index.ts";
import type { P2pLimits } from "./limits.ts";
import {
  CANCELLED,
  errorAnswer,
  idOf,
  isOtherDialect,
  remoteError,
  RPC_ID_PREFIX,
  RPC_PREFIX,
} from "./message.ts";
import type { Session } from "./session.ts";
import { type Sending, Wire, type WireUser } from "./wire.ts";

/** Counts of what happened on a link, or on all of them. */
export interface LinkCounts {
  /** Answers to calls that nobody waits for any more, or that were never made. */
  strayAnswers: number;
}

/** What a link needs. */
export interface LinkOptions {
  readonly limits: P2pLimits;
  readonly clock: Clock;
  readonly counts: LinkCounts;
  /** Called when the peer turns out to have none of our methods. */
  readonly onOtherDialect?: (() => void) | undefined;
}

/** How a call is made. */
export interface RequestOptions {
  /** How long its caller gave it, for the message. */
  readonly timeoutMs: number;
  /** When it ends, on the clock. */
  readonly untilMs: number;
  readonly signal: AbortSignal | undefined;
  /** Is given the result, as it came, if it comes after the caller gave up. */
  readonly onLate?: ((result: unknown) => void) | undefined;
}

/** Given-up calls whose answers are still looked out for at one peer; the peer answers few of them. */
const MAX_LATE = 1024;

/** A call that waits for its turn or for its answer. */
class Pending implements Sending {
  sent = false;
  dropped = false;
  stopTimer: (() => void) | undefined;
  stopSignal: (() => void) | undefined;
  onLate: ((result: unknown) => void) | undefined;
  readonly message: JsonObject;
  readonly id: string;
  readonly resume: (value: unknown) => void;
  readonly fail: (error: unknown) => void;

  constructor(
    id: string,
    method: string,
    params: unknown,
    resume: (value: unknown) => void,
    fail: (error: unknown) => void,
  ) {
    this.id = id;
    this.message = { jsonrpc: "2.0", id, method: RPC_PREFIX + method, params };
    this.resume = resume;
    this.fail = fail;
  }
}

/** Makes calls over one stream until it ends. */
export class Link implements WireUser {
  readonly session: Session;
  readonly wire: Wire;
  readonly #options: LinkOptions;
  readonly #onGone: (link: Link) => void;
  readonly #pending = new Map<string, Pending>();
  /** What to do with the results of calls that were given up, the oldest first. */
  readonly #late = new Map<string, (result: unknown) => void>();
  #waiting: Pending[] = [];
  #lastId = 0;
  #gone = false;
  #otherDialect = false;
  #leaving = false;

  constructor(stream: Stream, session: Session, options: LinkOptions, onGone: (link: Link) => void) {
    this.session = session;
    this.#options = options;
    this.#onGone = onGone;
    this.wire = new Wire(stream, this, options);
  }

  get peerId(): string {
    return this.session.peerId;
  }

  /** Whether calls can be made. */
  get isOpen(): boolean {
    return !this.#gone && !this.wire.ended;
  }

  /** Calls that wait for their turn or their answer. */
  get inFlight(): number {
    return this.#pending.size + this.#waiting.length;
  }

  /** Whether it was not used for so long that it should go. */
  isIdleAt(nowMs: number): boolean {
    return this.inFlight === 0 && nowMs - this.wire.lastUsedMs >= this.#options.limits.idleMs;
  }

  /**
   * Calls `method` of the peer and waits for the answer.
   *
   * @returns the result as it came
   * @throws RemoteError, PeerTimeoutError, ConnectionLostError, UnreachableError (nothing was sent), BusyError,
   *   MessageTooLargeError, or the reason of `signal`
   */
  request(method: string, params: unknown, options: RequestOptions): Promise<unknown> {
    const { signal } = options;
    return suspend<unknown>((resume, fail) => {
      const pending = new Pending(`${RPC_ID_PREFIX}${++this.#lastId}`, method, params, resume, fail);
      pending.onLate = options.onLate;
      if (signal?.aborted === true) {
        fail(reasonOf(signal));
        return fail;
      }
      this.#begin(pending);
      // It may have failed at once; then there is nothing to watch.
      if (!pending.dropped) this.#watch(pending, options);
      return (reason) => this.#giveUp(pending, reason);
    });
  }

  /** Takes no more calls of its host; ends when those that were made have ended. */
  closeWhenDone(): void {
    this.#leaving = true;
    this.#closeIfDone();
  }

  /** Does what {@link Link.close} does, for a callback that cannot wait. */
  closeSoon(): void {
    this.#leave();
    this.wire.closeSoon();
  }

  /** Ends the stream in good order. Calls that are unanswered fail. */
  async close(): Promise<void> {
    this.#leave();
    await this.wire.close();
    this.onEnd(undefined);
  }

  onMessage(message: JsonObject): void {
    const id = idOf(message);
    if (typeof message["method"] === "string") {
      // Peers call over streams of their own.
      if (id !== undefined)
        this.wire.send(errorAnswer(id, errorFacts(new MethodNotFoundError(message["method"]))));
      return;
    }
    const pending = typeof id === "string" ? this.#pending.get(id) : undefined;
    if (!pending?.sent) {
      this.#options.counts.strayAnswers += 1;
      // About a frame that the peer did not even read.
      if (id === undefined && message["error"] !== undefined) this.#lookAt(remoteError(message["error"]));
      if (typeof id === "string") this.#onLateAnswer(id, message);
      return;
    }
    this.#pending.delete(pending.id);
    stopWatching(pending);
    if (message["error"] === undefined) pending.resume(message["result"]);
    else {
      const error = remoteError(message["error"]);
      pending.fail(error);
      this.#lookAt(error);
    }
    if (this.#waiting.length > 0) this.#admit();
    this.#closeIfDone();
  }

  /** Answers can come no more. */
  onHalfClose(): void {
    this.wire.abort(new ConnectionLostError(`peer ${this.peerId} ended the stream`));
  }

  onRoom(): void {
    this.#admit();
  }

  onEnd(error: Error | undefined): void {
    this.#leave();
    const lost = [...this.#pending.values(), ...this.#waiting];
    this.#pending.clear();
    this.#waiting = [];
    for (const pending of lost) {
      stopWatching(pending);
      pending.dropped = true;
      pending.fail(this.#brokenError(pending, error));
    }
  }

  #closeIfDone(): void {
    if (this.#leaving && this.inFlight === 0) this.closeSoon();
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#onGone(this);
  }

  /** Ends the link if its peer has none of our methods. */
  #lookAt(error: RemoteError): void {
    if (!isOtherDialect(error)) return;
    // The others on the stream are not read, or refused as this one: none of them is carried out.
    this.#otherDialect = true;
    this.#options.onOtherDialect?.();
    this.wire.abort(new ConnectionLostError(`peer ${this.peerId} speaks another dialect`));
  }

  #brokenError(pending: Pending, cause: Error | undefined): Error {
    if (pending.sent && !this.#otherDialect)
      return new ConnectionLostError(`the connection to peer ${this.peerId} broke during the call`, {
        cause,
      });
    return new UnreachableError(`the connection to peer ${this.peerId} broke before the call was sent`, {
      cause,
    });
  }

  #begin(pending: Pending): void {
    const { maxInFlight, maxWaiting } = this.#options.limits;
    if (!this.isOpen) {
      this.#failEarly(pending, this.#brokenError(pending, undefined));
    } else if (this.#waiting.length === 0 && this.#pending.size < maxInFlight && !this.wire.isFull) {
      this.#send(pending);
    } else if (this.#waiting.length < maxWaiting) {
      this.#waiting.push(pending);
    } else {
      this.#failEarly(pending, new BusyError(`${maxWaiting} calls to peer ${this.peerId} wait already`));
    }
  }

  #failEarly(pending: Pending, error: unknown): void {
    pending.dropped = true;
    stopWatching(pending);
    pending.fail(error);
  }

  #send(pending: Pending): void {
    this.#pending.set(pending.id, pending);
    try {
      this.wire.send(pending.message, pending);
    } catch (error) {
      this.#pending.delete(pending.id);
      this.#failEarly(
        pending,
        error instanceof ConnectionLostError ? this.#brokenError(pending, error) : error,
      );
    }
  }

  #admit(): void {
    let next = 0;
    for (; next < this.#waiting.length; next++) {
      if (this.#pending.size >= this.#options.limits.maxInFlight || this.wire.isFull || !this.isOpen) break;
      const pending = this.#waiting[next];
      if (pending && !pending.dropped) this.#send(pending);
    }
    if (next > 0) this.#waiting = this.#waiting.slice(next);
  }

  #watch(pending: Pending, { timeoutMs, untilMs, signal }: RequestOptions): void {
    const { clock } = this.#options;
    pending.stopTimer = clock.schedule(
      () => this.#giveUp(pending, new PeerTimeoutError(this.peerId, timeoutMs)),
      untilMs - clock.now(),
    );
    if (!signal) return;
    const onAbort = (): void => this.#giveUp(pending, reasonOf(signal));
    signal.addEventListener("abort", onAbort, { once: true });
    pending.stopSignal = () => signal.removeEventListener("abort", onAbort);
  }

  #onLateAnswer(id: string, message: JsonObject): void {
    const onLate = this.#late.get(id);
    this.#late.delete(id);
    if (message["error"] === undefined) onLate?.(message["result"]);
  }

  #lookOut({ id, onLate }: Pending): void {
    if (!onLate) return;
    const [oldest] = this.#late.keys();
    if (this.#late.size >= MAX_LATE && oldest !== undefined) this.#late.delete(oldest);
    this.#late.set(id, onLate);
  }

  /** Nobody waits any more: the peer is told, if it knows of the call. */
  #giveUp(pending: Pending, reason: unknown): void {
    if (pending.dropped) return;
    pending.dropped = true;
    stopWatching(pending);
    this.#pending.delete(pending.id);
    if (pending.sent && this.isOpen) {
      this.#lookOut(pending);
      this.wire.send({ jsonrpc: "2.0", method: CANCELLED, params: { requestId: pending.id } });
    }
    pending.fail(reason);
    this.#admit();
    this.#closeIfDone();
  }
}

function stopWatching(pending: Pending): void {
  pending.stopTimer?.();
  pending.stopSignal?.();
}

/** What an aborted signal says, as an error. */
export function reasonOf(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new CancelledError("the call was cancelled", { cause: reason });
}
