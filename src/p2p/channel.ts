/** A stream of one MCP session, as whoever speaks MCP sees it. */
import type { JsonObject } from "../content/json.ts";
import { ConnectionLostError } from "../errors.ts";

/** Messages that come before anybody listens; the stream stops reading beyond them. */
const MAX_UNHEARD = 64;

/** JSON messages both ways, in order. */
export interface MessageChannel {
  /** Called for each message. What came before it was set is delivered then. */
  onMessage: ((message: JsonObject) => void) | undefined;
  /** Called once when no more messages can come or go. */
  onClose: (() => void) | undefined;
  /** Called with what ended the channel, before {@link onClose}. */
  onError: ((error: Error) => void) | undefined;
  /**
   * Puts a message on its way; resolves when there is room for the next one.
   *
   * @throws MessageTooLargeError, ConnectionLostError
   */
  send(message: object): Promise<void>;
  /** Sends what waits and ends the channel. */
  close(): Promise<void>;
}

/** What a channel needs of its wire. */
export interface ChannelWire {
  readonly isFull: boolean;
  send(message: object): void;
  pause(): void;
  resume(): void;
  close(): Promise<void>;
}

/** A {@link MessageChannel} over a wire that somebody else reads. */
export class WireChannel implements MessageChannel {
  #onClose: (() => void) | undefined;
  onError: ((error: Error) => void) | undefined;
  readonly #wire: ChannelWire;
  #onMessage: ((message: JsonObject) => void) | undefined;
  #unheard: JsonObject[] = [];
  #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  #ended = false;

  constructor(wire: ChannelWire) {
    this.#wire = wire;
  }

  get onMessage(): ((message: JsonObject) => void) | undefined {
    return this.#onMessage;
  }

  set onMessage(listener: ((message: JsonObject) => void) | undefined) {
    this.#onMessage = listener;
    if (!listener) return;
    const unheard = this.#unheard;
    this.#unheard = [];
    for (const message of unheard) listener(message);
    this.#wire.resume();
  }

  get onClose(): (() => void) | undefined {
    return this.#onClose;
  }

  /** A peer may break the stream right behind its first message: who listens only then must hear of the end too. */
  set onClose(listener: (() => void) | undefined) {
    this.#onClose = listener;
    if (listener && this.#ended) queueMicrotask(listener);
  }

  async send(message: object): Promise<void> {
    if (this.#ended) throw new ConnectionLostError("the MCP channel has ended");
    this.#wire.send(message);
    if (!this.#wire.isFull) return;
    await new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  async close(): Promise<void> {
    await this.#wire.close();
    this.end(undefined);
  }

  /** A message has come. */
  deliver(message: JsonObject): void {
    if (this.#onMessage) {
      this.#onMessage(message);
      return;
    }
    this.#unheard.push(message);
    if (this.#unheard.length >= MAX_UNHEARD) this.#wire.pause();
  }

  /** There is room to send again. */
  room(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { resolve } of waiting) resolve();
  }

  /** The wire has ended. */
  end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting)
      reject(new ConnectionLostError("the MCP channel has ended", { cause: error }));
    if (error) this.onError?.(error);
    this.#onClose?.();
  }
}
