/**
 * Passes MCP messages between two transports without looking at what they say, so that both eras of the protocol and
 * whatever extends them go through.
 *
 * Requests go side by side, because over HTTP sending one lasts until it is answered; notifications and answers go one
 * after another, and nothing that came later overtakes them.
 */
import {
  isJSONRPCRequest,
  type JSONRPCMessage,
  type JSONRPCRequest,
  type RequestId,
  type Transport,
} from "@modelcontextprotocol/client";
import { isJsonObject } from "../content/json.ts";
import { ConnectionLostError, errorFacts } from "../errors.ts";
import { openNursery, type Nursery, rethrowIfCancelled, suspend } from "../nursery/index.ts";

/** JSON-RPC leaves -32000 to -32099 to implementations. */
const LOST_CODE = -32_000;
/** A status by which HTTP says that the session, or the endpoint, is gone (MCP, session management). */
const GONE = 404;

/**
 * Starts both transports and passes on what they receive until `near` ends; then `far` is closed.
 *
 * @param near - the client's side
 * @param far - the server's side, over any wire
 * @throws ConnectionLostError if `far` ends first, after the requests under way were answered with that
 */
export async function pump(near: Transport, far: Transport): Promise<void> {
  try {
    await openNursery(async (nursery) => {
      const pipe = new Pump(near, far, nursery);
      await suspend<void>((resume, fail) => {
        pipe.onEnd = (error) => (error ? fail(error) : resume());
        nursery.startSoon(() => pipe.start(), "start the pump");
        return fail;
      });
      nursery.cancel("the pump has ended");
    });
  } finally {
    await near.close();
    await far.close();
  }
}

class Pump {
  onEnd: (error?: Error) => void = () => undefined;
  readonly #near: Transport;
  readonly #far: Transport;
  readonly #nursery: Nursery;
  /** Requests of the client that are not answered, with what gives each up. */
  readonly #pending = new Map<RequestId, AbortController>();
  /** What `initialize` was asked with: its answer says which revision HTTP has to name from then on. */
  #handshake: RequestId | undefined;
  #tail: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(near: Transport, far: Transport, nursery: Nursery) {
    this.#near = near;
    this.#far = far;
    this.#nursery = nursery;
  }

  async start(): Promise<void> {
    this.#far.onmessage = (message: JSONRPCMessage) => this.#fromFar(message);
    this.#far.onclose = () => this.#lost("the connection to the node broke");
    await this.#far.start();
    this.#near.onmessage = (message: JSONRPCMessage) => this.#fromNear(message);
    this.#near.onclose = () => this.#end();
    await this.#near.start();
  }

  #fromNear(message: JSONRPCMessage): void {
    if (this.#ended) return;
    const before = this.#tail;
    const done = Promise.withResolvers<void>();
    this.#tail = done.promise;
    if (isJSONRPCRequest(message)) this.#pending.set(message.id, new AbortController());
    this.#nursery.startSoon(async () => {
      try {
        await before;
        if (isJSONRPCRequest(message)) this.#nursery.startSoon(() => this.#request(message), message.method);
        else await this.#notify(message);
      } finally {
        done.resolve();
      }
    }, "pass a message on");
  }

  async #request(message: JSONRPCRequest): Promise<void> {
    const giveUp = this.#pending.get(message.id);
    if (giveUp === undefined) return;
    if (message.method === "initialize") this.#handshake = message.id;
    try {
      await this.#far.send(message, { requestSignal: giveUp.signal });
    } catch (error) {
      rethrowIfCancelled(error);
      if (!this.#pending.delete(message.id)) return;
      await this.#near.send(lostAnswer(message.id, errorFacts(error).message));
      if (isGone(error)) this.#lost(errorFacts(error).message);
    }
  }

  async #notify(message: JSONRPCMessage): Promise<void> {
    const cancelled = cancelledBy(message);
    if (cancelled !== undefined) {
      const request = this.#pending.get(cancelled);
      this.#pending.delete(cancelled);
      // Over HTTP a request of the new era is cancelled by ending its stream; with a session, as of old, in words as well.
      if (this.#far.hasPerRequestStream) request?.abort();
      if (this.#far.hasPerRequestStream && this.#far.sessionId === undefined) return;
    }
    try {
      await this.#far.send(message);
    } catch (error) {
      rethrowIfCancelled(error);
      if (isGone(error)) this.#lost(errorFacts(error).message);
    }
  }

  #fromFar(message: JSONRPCMessage): void {
    if (this.#ended) return;
    if (!("method" in message)) {
      // The answer to what was cancelled meanwhile has no reader any more.
      if (message.id === undefined || !this.#pending.delete(message.id)) return;
      if (message.id === this.#handshake) this.#agree(message);
    }
    this.#nursery.startSoon(() => this.#near.send(message), "pass a message back");
  }

  #agree(answer: JSONRPCMessage): void {
    const version =
      "result" in answer && isJsonObject(answer.result) ? answer.result["protocolVersion"] : undefined;
    if (typeof version === "string") this.#far.setProtocolVersion?.(version);
  }

  #lost(why: string): void {
    if (this.#ended) return;
    const error = new ConnectionLostError(why);
    const unanswered = [...this.#pending.keys()];
    this.#pending.clear();
    this.#ended = true;
    this.#nursery.startSoon(async () => {
      for (const id of unanswered) await this.#near.send(lostAnswer(id, why));
      this.onEnd(error);
    }, "answer what is lost");
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.onEnd();
  }
}

function lostAnswer(id: RequestId, why: string): JSONRPCMessage {
  const { code, message } = new ConnectionLostError(why);
  return { jsonrpc: "2.0", id, error: { code: LOST_CODE, message, data: { error_code: code } } };
}

function cancelledBy(message: JSONRPCMessage): RequestId | undefined {
  if (!("method" in message) || message.method !== "notifications/cancelled") return undefined;
  const id = message.params?.["requestId"];
  return typeof id === "string" || typeof id === "number" ? id : undefined;
}

/** A server that answers with a status is there, unless it says that it knows the session no more. */
function isGone(error: unknown): boolean {
  const status = error instanceof Error && "status" in error ? error.status : undefined;
  return typeof status !== "number" || status === GONE;
}
