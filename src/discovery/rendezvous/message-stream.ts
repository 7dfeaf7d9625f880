/** Messages of bytes on a libp2p stream, each after its length as a varint. */
import type { Stream, StreamCloseEvent, StreamMessageEvent } from "@libp2p/interface";
import { reader, writer } from "protons-runtime";
import { ConnectionLostError, ProtocolError } from "../../errors.ts";
import { suspend } from "../../nursery/index.ts";

/** A length below 2^35 has at most so many bytes. */
const MAX_LENGTH_BYTES = 5;

/** One stream. Reads and writes are waited for, one at a time, in a nursery. */
export class MessageStream {
  readonly #stream: Stream;
  readonly #maxBytes: number;
  #buffer: Uint8Array = new Uint8Array(0);
  #ended = false;
  #error: Error | undefined;
  #wake: () => void = () => undefined;

  /** @param maxBytes - of a message that comes in; a longer one, or more than that unread, ends the stream */
  constructor(stream: Stream, maxBytes: number) {
    this.#stream = stream;
    this.#maxBytes = maxBytes;
    stream.addEventListener("message", this.#onMessage);
    stream.addEventListener("remoteCloseWrite", this.#onHalfClose);
    stream.addEventListener("close", this.#onClose);
    stream.addEventListener("drain", this.#onDrain);
  }

  /**
   * The next message.
   *
   * @returns undefined if the peer will send nothing more
   * @throws ProtocolError if it is too long or cut off; ConnectionLostError if the stream broke
   */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const message = this.#take();
      if (message !== undefined) return message;
      if (this.#error) throw this.#error;
      if (this.#ended && this.#buffer.length > 0) throw new ProtocolError("a message was cut off");
      if (this.#ended) return undefined;
      await this.#something();
    }
  }

  /** Sends a message, and waits until the stream takes more. @throws ConnectionLostError if the stream broke */
  async write(message: Uint8Array): Promise<void> {
    if (this.#error) throw this.#error;
    if (this.#stream.send(writer().bytes(message).finish())) return;
    while (this.#stream.writableNeedsDrain) {
      if (this.#error) throw this.#error;
      await this.#something();
    }
  }

  /** Ends both directions in good order, without waiting. */
  close(): void {
    this.#stream.close().catch((error: unknown) => this.abort(error));
  }

  /** Says that nothing more will be sent, and waits until that is on its way. */
  async finish(signal: AbortSignal): Promise<void> {
    await this.#stream.close({ signal });
  }

  /** Ends the stream at once. */
  abort(reason: unknown): void {
    this.#stream.abort(reason instanceof Error ? reason : new ConnectionLostError(String(reason)));
  }

  #something(): Promise<void> {
    return suspend<void>((resume, fail) => {
      this.#wake = resume;
      return fail;
    });
  }

  /** Cuts one message off the buffer, if it is whole. */
  #take(): Uint8Array | undefined {
    const head = this.#buffer.subarray(0, MAX_LENGTH_BYTES).findIndex((byte) => byte < 0x80);
    if (head < 0) {
      if (this.#buffer.length >= MAX_LENGTH_BYTES) throw new ProtocolError("a message has no length");
      return undefined;
    }
    const length = reader(this.#buffer.subarray(0, head + 1)).uint64Number();
    if (length > this.#maxBytes) {
      throw new ProtocolError(`a message of ${length} bytes is announced, ${this.#maxBytes} are allowed`);
    }
    const end = head + 1 + length;
    if (this.#buffer.length < end) return undefined;
    const message = this.#buffer.subarray(head + 1, end);
    this.#buffer = this.#buffer.subarray(end);
    return message;
  }

  readonly #onMessage = ({ data }: StreamMessageEvent): void => {
    const chunk = data.subarray();
    if (this.#buffer.length + chunk.length > this.#maxBytes + MAX_LENGTH_BYTES) {
      this.#error ??= new ProtocolError(`more than ${this.#maxBytes} bytes wait to be read`);
      this.#stream.abort(this.#error);
    } else this.#buffer = Buffer.concat([this.#buffer, chunk]);
    this.#wake();
  };

  readonly #onHalfClose = (): void => {
    this.#ended = true;
    this.#wake();
  };

  readonly #onClose = ({ error }: StreamCloseEvent): void => {
    this.#ended = true;
    if (error) this.#error ??= new ConnectionLostError("a rendezvous stream broke", { cause: error });
    this.#wake();
  };

  readonly #onDrain = (): void => this.#wake();
}
