/**
 * Many HTTP requests of the stateless era as one bidirectional channel.
 *
 * The SDK's own HTTP entry builds a server for each request, which costs most of the time of a call (reference,
 * section 5.4). Here one long-lived server sits behind this transport: request ids are rewritten so that clients
 * cannot collide, notifications find their request by the id they relate to or the subscription they carry, and
 * a client that goes away becomes a cancellation.
 */
import type { ServerResponse } from "node:http";
import {
  type JSONRPCMessage,
  type JSONRPCRequest,
  type RequestId,
  SUBSCRIPTION_ID_META_KEY,
  type Transport,
  type TransportSendOptions,
} from "@modelcontextprotocol/server";
import type { Clock } from "../../clock.ts";
import { isJsonObject } from "../../content/json.ts";
import type { CancelScope } from "../../nursery/index.ts";
import { Exchange } from "./exchange.ts";

/** A request that has not been answered for so long gets a sign of life this often; common proxies cut at 60 s. */
export const KEEP_ALIVE_MS = 15_000;

const CLIENT_GONE = "the client closed the connection";

/** The transport of the stateless era. */
export class HttpChannel implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: NonNullable<Transport["onmessage"]>;
  readonly #clock: Clock;
  readonly #exchanges = new Map<number, Exchange>();
  #lastId = 0;
  #stopKeepAlive: (() => void) | undefined;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async start(): Promise<void> {
    // Nothing to start: requests come in by submit().
  }

  /** Takes a request whose headers and envelope were checked; the answer goes to `response`. */
  submit(request: JSONRPCRequest, response: ServerResponse): void {
    const id = this.#open(request.id, response, () => {
      const params = { requestId: id, reason: CLIENT_GONE };
      this.onmessage?.({ jsonrpc: "2.0", method: "notifications/cancelled", params });
    });
    if (id !== undefined) this.onmessage?.({ ...request, id });
  }

  /**
   * Answers a request past the server behind the channel: with what `call` resolves with, the JSON text of a result.
   *
   * @param scope - what the caller runs in; cancelled when the client goes away or the channel closes
   */
  async answer(
    requestId: RequestId,
    response: ServerResponse,
    scope: CancelScope,
    call: () => Promise<string>,
  ): Promise<void> {
    const id = this.#open(requestId, response, () => scope.cancel(CLIENT_GONE));
    if (id === undefined) return;
    try {
      const result = await call();
      this.#take(id)?.answerText(result);
    } catch (error) {
      // Whoever went away hears no answer; any other failure is a defect.
      if (!scope.cancelCalled) throw error;
    }
  }

  async send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    if (!("method" in message)) {
      const exchange = typeof message.id === "number" ? this.#take(message.id) : undefined;
      exchange?.answer(withSubscription(message, exchange));
      return;
    }
    const id = subscriptionOf(message) ?? options?.relatedRequestId;
    const exchange = typeof id === "number" ? this.#exchanges.get(id) : undefined;
    await exchange?.notify(withSubscription(message, exchange));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopKeepAlive?.();
    const exchanges = [...this.#exchanges.values()];
    this.#exchanges.clear();
    for (const exchange of exchanges) {
      exchange.abandon();
      exchange.onLost();
    }
    this.onclose?.();
  }

  /** @returns our id of a new exchange; undefined if the channel is closed, which the client was told */
  #open(requestId: RequestId, response: ServerResponse, onLost: () => void): number | undefined {
    const exchange = new Exchange(requestId, response, this.#clock.now(), onLost);
    if (this.#closed) {
      exchange.abandon();
      return undefined;
    }
    const id = ++this.#lastId;
    this.#exchanges.set(id, exchange);
    this.#keepAlive();
    response.once("close", () => this.#take(id)?.onLost());
    return id;
  }

  /** Ends the exchange of our id here, if it has not ended. */
  #take(id: number): Exchange | undefined {
    const exchange = this.#exchanges.get(id);
    this.#exchanges.delete(id);
    return exchange;
  }

  /** One timer for all exchanges, set only while there are any. */
  #keepAlive(): void {
    if (this.#stopKeepAlive || this.#exchanges.size === 0) return;
    this.#stopKeepAlive = this.#clock.schedule(() => {
      this.#stopKeepAlive = undefined;
      const before = this.#clock.now() - KEEP_ALIVE_MS / 2;
      for (const exchange of this.#exchanges.values()) if (exchange.startedMs <= before) exchange.keepAlive();
      this.#keepAlive();
    }, KEEP_ALIVE_MS);
  }
}

/** The subscription that a message belongs to, by our id; undefined if to none. */
function subscriptionOf(message: JSONRPCMessage): unknown {
  const carrier = "result" in message ? message.result : "params" in message ? message.params : undefined;
  const meta = isJsonObject(carrier) ? carrier["_meta"] : undefined;
  return isJsonObject(meta) ? meta[SUBSCRIPTION_ID_META_KEY] : undefined;
}

/** The message with the subscription id that the client knows, which is the id of its request. */
function withSubscription<T extends JSONRPCMessage>(message: T, { id }: Exchange): T {
  if (subscriptionOf(message) === undefined) return message;
  const renamed = <C extends { readonly _meta?: object | undefined }>(carrier: C): C => ({
    ...carrier,
    _meta: { ...carrier._meta, [SUBSCRIPTION_ID_META_KEY]: id },
  });
  if ("result" in message) return { ...message, result: renamed(message.result) };
  return "params" in message && message.params ? { ...message, params: renamed(message.params) } : message;
}
