/**
 * An inbound stream: calls between nodes and of Python peers are answered here, everything else is MCP and goes to
 * its channel.
 *
 * The shape of each message decides, not the order: `mcp++/…` and the cancellation of a call that is running are
 * calls; what Python peers send shows itself (see python-dialects.ts); what else has a method, and every answer, is MCP.
 */
import type { Stream } from "@libp2p/interface";
import type { PeerCaller } from "../authority/caller.ts";
import type { Clock } from "../clock.ts";
import { isJsonObject, type JsonObject } from "../content/json.ts";
import {
  BusyError,
  ConnectionLostError,
  type ErrorFacts,
  errorFacts,
  InvalidInputError,
  McpError,
  ProtocolError,
} from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { CancelScope, Nursery } from "../nursery/index.ts";
import type { Dispatcher } from "../peer/dispatch.ts";
import type { CallContext } from "../peer/rpc.ts";
import { type ChannelWire, type MessageChannel, WireChannel } from "./channel.ts";
import type { P2pLimits } from "./limits.ts";
import { CANCELLED, errorAnswer, idOf, type RequestId, RPC_ID_PREFIX, RPC_PREFIX } from "./message.ts";
import type { PythonCall, PythonDialects } from "./protocols/python-dialects.ts";
import type { Session } from "./session.ts";
import type { TurnTaker } from "./turns.ts";
import { type Sending, UnreadError, Wire, type WireUser } from "./wire.ts";

/** What serving needs. */
export interface ServeOptions {
  readonly dispatcher: Dispatcher;
  readonly nursery: Nursery;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: P2pLimits;
  /** Whether there is a token to prove. */
  readonly hasToken: boolean;
  readonly onMcp: ((channel: MessageChannel, caller: PeerCaller) => void) | undefined;
}

/** What a call came to. */
interface CallEnd {
  /** The message to send. */
  readonly answer: object;
  /** Takes back what it did, if the answer cannot be delivered. */
  readonly undo?: (() => Promise<void>) | undefined;
}

/** What answers a call; nothing if nobody waits for it any more. */
type Answering = (scope: CancelScope) => Promise<CallEnd | undefined>;

/** How long taking back what an undelivered answer did may take. */
const UNDO_LIMIT_MS = 10_000;

/** An answer that would have to be taken back. */
interface Revocable extends Sending {
  readonly undo: () => Promise<void>;
}

/** A context that makes an AbortSignal only for a handler that looks at it. */
class ScopeContext implements CallContext {
  readonly caller: PeerCaller;
  readonly #scope: CancelScope;

  constructor(caller: PeerCaller, scope: CancelScope) {
    this.caller = caller;
    this.#scope = scope;
  }

  get signal(): AbortSignal {
    return this.#scope.signal;
  }
}

/** Answers one inbound stream until it ends. */
export class Served implements WireUser, TurnTaker {
  readonly wire: Wire;
  readonly #session: Session;
  readonly #options: ServeOptions;
  readonly #onGone: (served: Served) => void;
  readonly #python: PythonDialects | undefined;
  /** Calls that run, by id; `undefined` until their scope is open. */
  readonly #running = new Map<RequestId, CancelScope | undefined>();
  /** Answers that may not have left yet. */
  #revocable: Revocable[] = [];
  #channel: WireChannel | undefined;
  /** Set while the peer's rate is used up. */
  #stopWaiting: (() => void) | undefined;
  /** Whether its requests wait for their turn. */
  #held = false;
  #halfClosed = false;
  /** Answers that belong to no request. */
  strays = 0;

  /** @param python - reads what Python peers send; absent: it is taken for MCP */
  constructor(
    stream: Stream,
    session: Session,
    options: ServeOptions,
    onGone: (served: Served) => void,
    python?: PythonDialects,
  ) {
    this.#session = session;
    this.#python = python;
    this.#options = options;
    this.#onGone = onGone;
    this.wire = new Wire(stream, this, {
      ...options,
      maxFrameBytes: () => session.maxFrameBytes,
      holdsTooMuch: () => session.budget.holdsTooMuch,
      onWrote: () => session.budget.turns.wrote(),
    });
  }

  /** How many calls of this stream are being answered. */
  get serving(): number {
    return this.#running.size;
  }

  /** Since when nothing happens, on the clock; undefined while something does. */
  isIdleAt(nowMs: number): boolean {
    const { idleMs, sessionIdleMs } = this.#options.limits;
    return (
      this.#running.size === 0 && nowMs - this.wire.lastUsedMs >= (this.#channel ? sessionIdleMs : idleMs)
    );
  }

  isSlowAt(nowMs: number): boolean {
    return this.wire.isSlowAt(nowMs);
  }

  onMessage(message: JsonObject): void {
    if (!this.#isWithinRate()) return;
    const method = message["method"];
    const python = this.#python?.read(message);
    if (python === "ignored") return;
    if (python) this.#onPython(python);
    else if (typeof method !== "string") this.#onAnswer(message);
    else if (method.startsWith(RPC_PREFIX)) this.#onCall(method.slice(RPC_PREFIX.length), message);
    else if (method !== CANCELLED || !this.#cancelCall(message)) this.#onMcp(message);
  }

  onHalfClose(): void {
    this.#halfClosed = true;
    this.#closeIfDone();
  }

  onRoom(): void {
    this.#readOn();
    this.#channel?.room();
  }

  hold(): void {
    this.#held = true;
    this.wire.pause();
  }

  goOn(): void {
    this.#held = false;
    this.#readOn();
  }

  onEnd(error: Error | undefined): void {
    this.#stopWaiting?.();
    const { budget } = this.#session;
    if (error instanceof ProtocolError) budget.offend("broken message", error.message);
    if (error instanceof UnreadError) budget.offend("does not read", error.message);
    for (const scope of this.#running.values()) scope?.cancel("the caller's connection ended");
    this.#running.clear();
    for (const { sent, undo } of this.#revocable) if (!sent) this.#takeBack(undo);
    this.#revocable = [];
    this.#channel?.end(error);
    this.#onGone(this);
    budget.turns.leave(this);
  }

  /** Strangers are cut off beyond their rate; who is known waits until there is room again. */
  #isWithinRate(): boolean {
    const { isStranger, budget } = this.#session;
    if (isStranger) {
      if (budget.takeMessage()) return true;
      const error = new BusyError("too many messages from a caller without grants");
      budget.offend("too many messages", error.message);
      this.wire.abort(error);
      return false;
    }
    const waitMs = budget.spendMessage();
    if (waitMs === 0 || this.#stopWaiting) return true;
    this.wire.pause();
    this.#stopWaiting = this.#options.clock.schedule(() => {
      this.#stopWaiting = undefined;
      this.#readOn();
    }, waitMs);
    return true;
  }

  /** Reads on if nothing speaks against it. */
  #readOn(): void {
    if (!this.#stopWaiting && !this.#held && !this.wire.isFull) this.wire.resume();
  }

  #onAnswer(message: JsonObject): void {
    const id = idOf(message);
    // Calls are never made on an inbound stream, so no answer to one can be right.
    const isOurs = typeof id === "string" && id.startsWith(RPC_ID_PREFIX);
    if (this.#channel && !isOurs) this.#onMcp(message);
    else this.strays += 1;
  }

  /** All of MCP takes its turn, since its order matters. */
  #onMcp(message: JsonObject): void {
    this.#session.budget.turns.take(this, () => {
      if (!this.wire.ended) this.#mcp()?.deliver(message);
    });
    if (this.wire.isFull) this.wire.pause();
  }

  #mcp(): WireChannel | undefined {
    if (this.#channel) return this.#channel;
    const { onMcp } = this.#options;
    if (!onMcp) {
      this.wire.abort(new InvalidInputError("this node serves no MCP on its streams"));
      return undefined;
    }
    const channel = new WireChannel(this.#channelWire());
    this.#channel = channel;
    onMcp(channel, this.#session.caller);
    return channel;
  }

  /** The wire as its channel sees it, which must not make it read what others hold back. */
  #channelWire(): ChannelWire {
    const { wire } = this;
    return {
      get isFull() {
        return wire.isFull;
      },
      send: (message) => void wire.send(message),
      pause: () => wire.pause(),
      resume: () => this.#readOn(),
      close: () => wire.close(),
    };
  }

  #cancelCall(message: JsonObject): boolean {
    const params = message["params"];
    const id = isJsonObject(params) ? params["requestId"] : undefined;
    if ((typeof id !== "string" && typeof id !== "number") || !this.#running.has(id)) {
      // The call may have ended meanwhile; MCP must not hear of an id that it never gave.
      return typeof id === "string" && id.startsWith(RPC_ID_PREFIX);
    }
    const scope = this.#running.get(id);
    // Gone from the map, so whatever comes of it is not sent: its caller does not listen any more.
    this.#running.delete(id);
    scope?.cancel("the caller cancelled the call");
    return true;
  }

  #onCall(name: string, message: JsonObject): void {
    const id = idOf(message);
    // A notification: there is none in the table, and nobody waits for an answer.
    if (id === undefined) return;
    if (name === "auth.challenge" || name === "auth.prove") {
      this.#onProof(id, name, message["params"]);
      return;
    }
    const failed = (facts: ErrorFacts): object => errorAnswer(id, facts);
    this.#begin(id, failed, async (scope) => {
      const context = new ScopeContext(this.#session.caller, scope);
      const outcome = await this.#options.dispatcher.dispatch(name, message["params"], context);
      if (!outcome.ok) return { answer: failed(outcome.error) };
      return { answer: { jsonrpc: "2.0", id, result: outcome.value ?? null }, undo: outcome.undo };
    });
  }

  #onPython(call: PythonCall): void {
    const failed = (facts: ErrorFacts): object => call.failed(facts);
    this.#begin(call.id, failed, async (scope) => {
      const answer = await call.run(new ScopeContext(this.#session.caller, scope));
      // One request a stream: the peer waits for the end.
      if (call.isLast) this.#halfClosed = true;
      return { answer };
    });
  }

  /** Begins to answer a call, or says why not. */
  #begin(id: RequestId, failed: (facts: ErrorFacts) => object, answering: Answering): void {
    const refusal = this.#refusal(id);
    if (refusal) {
      this.#answer(id, failed(errorFacts(refusal)));
      return;
    }
    this.#running.set(id, undefined);
    this.#session.budget.serving += 1;
    this.#session.budget.turns.take(this, () => this.#run(id, failed, answering));
    if (this.wire.isFull) this.wire.pause();
  }

  #refusal(id: RequestId): McpError | undefined {
    if (this.#running.has(id)) return new InvalidInputError("a request with this id is being answered");
    const { budget, maxServing } = this.#session;
    if (budget.serving < maxServing) return undefined;
    return new BusyError(`${budget.serving} calls of this peer are being answered`);
  }

  #run(id: RequestId, failed: (facts: ErrorFacts) => object, answering: Answering): void {
    const { nursery, limits } = this.#options;
    const ended = nursery.run(
      async (scope) => {
        // Cancelled before it began.
        if (!this.#running.has(id)) return undefined;
        this.#running.set(id, scope);
        return answering(scope);
      },
      { timeoutMs: limits.maxCallMs },
    );
    ended.then(
      (end) => this.#finish(id, end ?? { answer: failed(errorFacts(undefined)) }),
      (error: unknown) => this.#finish(id, { answer: failed(errorFacts(error)) }),
    );
  }

  /** A call has ended. If it is not in the map any more nobody waits for it: it was cancelled. */
  #finish(id: RequestId, { answer, undo }: CallEnd): void {
    // Only now, not when it was cancelled: a handler that does not heed its signal still takes its place.
    this.#session.budget.serving -= 1;
    if (!this.#running.delete(id)) {
      this.#takeBack(undo);
      return;
    }
    this.#answer(id, answer, undo);
    this.#closeIfDone();
  }

  #answer(id: RequestId, answer: object, undo?: () => Promise<void>): void {
    const revocable = undo && { sent: false, dropped: false, undo };
    if (this.wire.ended) {
      this.#takeBack(undo);
      return;
    }
    try {
      this.#session.budget.turns.answered(this.wire.send(answer, revocable));
      if (revocable) this.#revocable = [...this.#revocable.filter(({ sent }) => !sent), revocable];
    } catch (error) {
      this.#takeBack(undo);
      if (error instanceof ConnectionLostError) return;
      // It did not fit into a frame, or is no JSON: the caller learns that instead.
      const facts = errorFacts(error);
      this.#options.logger.warn({ peer: this.#session.peerId, ...facts }, "an answer could not be sent");
      this.wire.send(errorAnswer(id, facts));
    }
  }

  #takeBack(undo: (() => Promise<void>) | undefined): void {
    if (!undo) return;
    const { nursery, logger } = this.#options;
    nursery.run(undo, { timeoutMs: UNDO_LIMIT_MS }).catch((error: unknown) => {
      logger.warn({ err: error }, "what an undelivered answer did could not be taken back");
    });
  }

  #onProof(id: RequestId, name: "auth.challenge" | "auth.prove", params: unknown): void {
    const session = this.#session;
    try {
      if (!this.#options.hasToken) throw new InvalidInputError("this node has no shared token");
      const result = name === "auth.challenge" ? session.challenge(params) : session.prove(params);
      this.#answer(id, { jsonrpc: "2.0", id, result });
    } catch (error) {
      const { code, message } = errorFacts(error);
      session.budget.offend("wrong proof of the shared token", `${code}: ${message}`);
      this.#answer(id, errorAnswer(id, errorFacts(error)));
      if (session.isExhausted)
        session.connection.abort(new BusyError("too many wrong proofs of the shared token"));
    }
  }

  /** The caller sends nothing more: once all is answered, so do we. */
  #closeIfDone(): void {
    if (!this.#halfClosed || this.#running.size > 0 || this.wire.ended) return;
    this.wire.closeSoon();
  }
}
