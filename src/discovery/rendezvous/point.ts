/** A rendezvous node as its clients see it: one stream a request, each bounded in time. */
import type { Connection } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import {
  BusyError,
  DeniedError,
  InvalidInputError,
  ProtocolError,
  RemoteError,
  UnreachableError,
} from "../../errors.ts";
import { abortable, failAfter, rethrowIfCancelled, TimeoutError } from "../../nursery/index.ts";
import type { MechanismContext } from "../../p2p/index.ts";
import {
  decodeMessage,
  encodeMessage,
  RENDEZVOUS_PROTOCOL,
  type RendezvousMessage,
  STATUS,
  type Verdict,
  type WireRegistration,
} from "./codec.ts";
import { MAX_ANSWER_BYTES, REQUEST_MS } from "./limits.ts";
import { MessageStream } from "./message-stream.ts";

type Message<T extends RendezvousMessage["type"]> = Extract<RendezvousMessage, { readonly type: T }>;
type PointContext = Pick<MechanismContext, "libp2p" | "introduce">;

/** The server does not know our cookie any more. */
export class StaleCookieError extends ProtocolError {}

/** One rendezvous node. Its methods wait in the caller's scope. */
export class RendezvousPoint {
  readonly address: Multiaddr;
  readonly #context: PointContext;
  /** Until when, by the clock, this node is registered. */
  registeredUntilMs: number | undefined;
  /** Why the last attempt to register failed. */
  refusal: Error | undefined;

  constructor(address: Multiaddr, context: PointContext) {
    this.address = address;
    this.#context = context;
  }

  /**
   * Connects, unless there is a connection.
   *
   * @throws UnreachableError
   */
  async connect(): Promise<Connection> {
    return this.#inTime(async () => {
      const connection = await abortable((signal) => this.#context.libp2p.dial(this.address, { signal }));
      await this.#context.introduce(connection);
      return connection;
    });
  }

  /**
   * Registers this node.
   *
   * @returns for how long, in milliseconds
   * @throws UnreachableError; what {@link refusalOf} makes of a refusal
   */
  async register(registration: WireRegistration): Promise<number> {
    const answer = await this.#ask({ type: "register", ...registration }, "registered");
    throwIfRefused(answer);
    // Old servers leave out what was asked for.
    return (answer.ttlS > 0 ? answer.ttlS : registration.ttlS) * 1000;
  }

  /** Takes this node's registration back; there is no answer to that. @throws UnreachableError */
  async unregister(namespace: string, id: Uint8Array): Promise<void> {
    await this.#withStream(async (messages) => {
      await messages.write(encodeMessage({ type: "unregister", namespace, id }));
      await abortable((signal) => messages.finish(signal));
    });
  }

  /**
   * One page of the registrations of a namespace.
   *
   * @throws UnreachableError; StaleCookieError; what {@link refusalOf} makes of a refusal
   */
  async discover(namespace: string, limit: number, cookie: Uint8Array): Promise<Message<"discovered">> {
    const answer = await this.#ask({ type: "discover", namespace, limit, cookie }, "discovered");
    throwIfRefused(answer);
    return answer;
  }

  async #ask<T extends "registered" | "discovered">(
    request: RendezvousMessage,
    expected: T,
  ): Promise<Message<T>> {
    return this.#withStream(async (messages) => {
      await messages.write(encodeMessage(request));
      const bytes = await messages.read();
      if (bytes === undefined) throw new ProtocolError("a rendezvous node hung up without an answer");
      const answer = decodeMessage(bytes);
      if (!isOfType(answer, expected))
        throw new ProtocolError(`a rendezvous node answered ${answer.type} where ${expected} was expected`);
      return answer;
    });
  }

  async #withStream<T>(fn: (messages: MessageStream) => Promise<T>): Promise<T> {
    const connection = await this.connect();
    return this.#inTime(async () => {
      const stream = await abortable((signal) => connection.newStream(RENDEZVOUS_PROTOCOL, { signal }));
      const messages = new MessageStream(stream, MAX_ANSWER_BYTES);
      try {
        const result = await fn(messages);
        messages.close();
        return result;
      } catch (error) {
        messages.abort(error);
        throw error;
      }
    });
  }

  async #inTime<T>(fn: () => Promise<T>): Promise<T> {
    try {
      return await failAfter(REQUEST_MS, fn);
    } catch (cause) {
      rethrowIfCancelled(cause);
      if (cause instanceof ProtocolError) throw cause;
      const why = cause instanceof TimeoutError ? `no answer within ${REQUEST_MS} ms` : messageOf(cause);
      throw new UnreachableError(`the rendezvous node ${this.address.toString()}: ${why}`, { cause });
    }
  }
}

/** @throws what a refusal means */
function throwIfRefused(verdict: Verdict): void {
  if (verdict.status !== STATUS.ok) throw refusalOf(verdict);
}

/** A refusal as an error. */
export function refusalOf({ status, statusText }: Verdict): Error {
  const text = `a rendezvous node refused (${status}): ${statusText}`;
  switch (status) {
    case STATUS.invalidCookie:
      return new StaleCookieError(text);
    case STATUS.notAuthorized:
      return new DeniedError("this node", "rendezvous", { cause: new Error(text) });
    case STATUS.unavailable:
      return new BusyError(text);
    case STATUS.invalidNamespace:
    case STATUS.invalidRecord:
    case STATUS.invalidTtl:
      return new InvalidInputError(text);
    default:
      return new RemoteError({
        code: "E_RENDEZVOUS",
        failureClass: "unavailable",
        message: text,
      });
  }
}

function isOfType<T extends RendezvousMessage["type"]>(
  message: RendezvousMessage,
  type: T,
): message is Message<T> {
  return message.type === type;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
