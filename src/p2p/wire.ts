/**
 * One libp2p stream as a pipe of JSON messages.
 *
 * Messages sent in one turn go out in one write, once everything that was runnable has run. What the stream does
 * not take waits here, counted. `stream.onDrain()` is not used: in @libp2p/utils 7.4.1 it resolves at once from the
 * second time on. The 'drain' event and `writableNeedsDrain` say the truth.
 */
import type { Stream, StreamCloseEvent, StreamMessageEvent } from "@libp2p/interface";
import type { Clock } from "../clock.ts";
import type { JsonObject } from "../content/json.ts";
import { ConnectionLostError, MessageTooLargeError, ProtocolError } from "../errors.ts";
import { encodeFrames, FrameDecoder } from "./frame.ts";
import type { P2pLimits } from "./limits.ts";

/** How much goes to the stream in one write: enough to fill packets, little enough to keep memory flat. */
const WRITE_BYTES = 256 * 1024;
/** Below this a stream is not worth adding up all the others of its peer. */
const LITTLE_UNSENT_BYTES = 64 * 1024;

/** What a sender may learn about its message, and change while the message still waits. */
export interface Sending {
  /** It has left for the stream: the peer may have got it. */
  sent: boolean;
  /** Not wanted any more: it is left out if it has not left yet. */
  dropped: boolean;
}

/** Who uses a wire. Events come in order; `onEnd` comes once, at the end. */
export interface WireUser {
  onMessage(message: JsonObject, bytes: number): void;
  /** The peer will send nothing more, but still reads. */
  onHalfClose(): void;
  /** The wire has ended; `error` says why if it was not in good order. */
  onEnd(error: Error | undefined): void;
  /** There is room again after {@link Wire.isFull}. */
  onRoom(): void;
}

/** What a wire needs. */
export interface WireOptions {
  readonly limits: P2pLimits;
  readonly clock: Clock;
  /** Largest body that the peer may send, asked for each frame. Default: `limits.maxFrameBytes`. */
  readonly maxFrameBytes?: (() => number) | undefined;
  /** Whether the peer holds up more than it may on all its streams together. Default: never. */
  readonly holdsTooMuch?: (() => boolean) | undefined;
  /** Called whenever bytes have been handed to the stream. */
  readonly onWrote?: (() => void) | undefined;
  /** How messages become text and back. Default: strict JSON. */
  readonly codec?: WireCodec | undefined;
}

/** Reads and writes the text of messages. */
export interface WireCodec {
  readonly parse: (text: string) => unknown;
  readonly write: (message: object) => string;
}

const STRICT_JSON: WireCodec = { parse: JSON.parse, write: JSON.stringify };

interface Frame {
  readonly text: string;
  readonly bytes: number;
  readonly sending: Sending | undefined;
}

/** The peer asks and asks, but does not read the answers. */
export class UnreadError extends ConnectionLostError {}

/** A pipe of JSON messages over `stream`. */
export class Wire {
  readonly #stream: Stream;
  readonly #limits: P2pLimits;
  readonly #clock: Clock;
  readonly #user: WireUser;
  readonly #decoder: FrameDecoder;
  readonly #codec: WireCodec;
  readonly #holdsTooMuch: () => boolean;
  readonly #onWrote: (() => void) | undefined;
  /** Since when the frame is arriving that is not complete, on the clock. */
  #frameSinceMs: number | undefined;
  #queue: Frame[] = [];
  #queuedBytes = 0;
  #scheduled = false;
  #wasFull = false;
  #ended = false;
  #closing = false;
  /** The peer has ended its side while this one was paused. */
  #halfClosed = false;
  #stopLinger: (() => void) | undefined;
  /** When a message last came or went, on the clock. */
  lastUsedMs: number;
  /** When bytes last came, on the clock. */
  lastHeardMs: number;
  /** The most bytes that ever waited to be sent. */
  peakUnsentBytes = 0;

  constructor(
    stream: Stream,
    user: WireUser,
    { limits, clock, maxFrameBytes, codec = STRICT_JSON, holdsTooMuch = () => false, onWrote }: WireOptions,
  ) {
    this.#stream = stream;
    this.#limits = limits;
    this.#clock = clock;
    this.#user = user;
    this.lastUsedMs = clock.now();
    this.lastHeardMs = this.lastUsedMs;
    this.#codec = codec;
    this.#holdsTooMuch = holdsTooMuch;
    this.#onWrote = onWrote;
    const onMessage = (message: JsonObject, bytes: number): void => {
      this.lastUsedMs = clock.now();
      this.#frameSinceMs = undefined;
      user.onMessage(message, bytes);
    };
    const { maxJsonDepth } = limits;
    const maxBytes = maxFrameBytes ?? (() => limits.maxFrameBytes);
    this.#decoder = new FrameDecoder(maxBytes, onMessage, codec.parse, maxJsonDepth);
    stream.addEventListener("message", this.#onData);
    stream.addEventListener("end", this.#onHalfClose);
    stream.addEventListener("close", this.#onClose);
    stream.addEventListener("drain", this.#flush);
    // Both may have happened before anybody listened.
    if (stream.status !== "open") queueMicrotask(() => this.#end(undefined));
    else if (stream.readableEnded) queueMicrotask(this.#onHalfClose);
  }

  /** Bytes that wait to be sent, here and in the stream. */
  get unsentBytes(): number {
    return this.#queuedBytes + this.#stream.writeBufferLength;
  }

  /** Whether senders should wait for {@link WireUser.onRoom}. */
  get isFull(): boolean {
    const full = this.unsentBytes >= this.#limits.highWaterBytes;
    this.#wasFull ||= full;
    return full;
  }

  get ended(): boolean {
    return this.#ended || this.#closing;
  }

  /** Whether the message that has begun takes longer to arrive than any network would need. */
  isSlowAt(nowMs: number): boolean {
    if (this.#frameSinceMs === undefined || this.#ended) return false;
    if (this.#stream.readStatus === "paused") {
      // It is we who do not read.
      this.#frameSinceMs = nowMs;
      return false;
    }
    const { frameMs, frameBytesPerSecond } = this.#limits;
    const allowedMs = frameMs + (this.#decoder.announcedBytes / frameBytesPerSecond) * 1000;
    return nowMs - this.#frameSinceMs > allowedMs;
  }

  /**
   * Puts a message on its way.
   *
   * @returns its size in bytes
   * @throws MessageTooLargeError if it does not fit into a frame
   * @throws ConnectionLostError if the wire has ended
   */
  send(message: object, sending?: Sending): number {
    if (this.ended) throw new ConnectionLostError("the stream to the peer has ended");
    const text = this.#codec.write(message);
    const bytes = Buffer.byteLength(text);
    if (bytes > this.#limits.maxFrameBytes) {
      throw new MessageTooLargeError(
        `a message of ${bytes} bytes; a frame holds ${this.#limits.maxFrameBytes}`,
      );
    }
    this.#queue.push({ text, bytes, sending });
    this.#queuedBytes += bytes;
    this.lastUsedMs = this.#clock.now();
    const unsent = this.unsentBytes;
    if (unsent > this.peakUnsentBytes) this.peakUnsentBytes = unsent;
    const isDead = unsent > LITTLE_UNSENT_BYTES && this.#holdsTooMuch();
    if (isDead || unsent > this.#limits.maxUnsentBytes) {
      this.abort(new UnreadError(`the peer does not read: ${unsent} bytes wait for it`));
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      // A tick asked for in a microtask comes when all microtasks are done: what they send goes along.
      process.nextTick(this.#flush);
    }
    return bytes;
  }

  /** Delivers nothing until {@link Wire.resume}; the peer's window closes after a while. */
  pause(): void {
    // A paused stream would never deliver the peer's goodbye.
    if (this.#closing) return;
    this.#decoder.pause();
    if (!this.#ended && this.#stream.readStatus === "readable") this.#stream.pause();
  }

  resume(): void {
    if (this.#ended) return;
    this.#decode(() => this.#decoder.resume());
    if (this.#ended || this.#decoder.isPaused) return;
    if (this.#stream.readStatus === "paused") this.#stream.resume();
    if (this.#halfClosed) this.#onHalfClose();
  }

  /** Sends what waits, says goodbye, and resets the stream if the peer does not do the same in time. */
  async close(): Promise<void> {
    if (this.ended) return;
    // All of it, drained or not: the stream waits for its buffer before it says goodbye.
    while (this.#queue.length > 0 && !this.#ended) this.#writeSome();
    if (this.#ended) return;
    this.#closing = true;
    this.#stopLinger = this.#clock.schedule(
      () => this.abort(new ConnectionLostError("the peer did not close the stream in time")),
      this.#limits.closeMs,
    );
    this.resume();
    try {
      await this.#stream.close();
    } catch (cause) {
      // Rejects if the stream was reset meanwhile, by the timer above or the peer: it has ended either way.
      this.abort(new ConnectionLostError("the stream broke while it was being closed", { cause }));
    }
  }

  /** Does what {@link Wire.close} does, for a callback that cannot wait; the clock bounds it. */
  closeSoon(): void {
    // close() ends by itself and reports by onEnd; it does not reject.
    void this.close();
  }

  /** Resets the stream at once; what waits is lost. */
  abort(error: Error): void {
    if (this.#ended) return;
    this.#end(error);
    this.#stream.abort(error);
  }

  readonly #onData = (event: StreamMessageEvent): void => {
    if (this.#ended) return;
    this.lastHeardMs = this.#clock.now();
    const { data } = event;
    this.#decode(() => {
      if (data instanceof Uint8Array) this.#decoder.push(data);
      else for (const chunk of data) this.#decoder.push(chunk);
    });
  };

  #decode(push: () => void): void {
    try {
      push();
      if (!this.#decoder.isInsideFrame) this.#frameSinceMs = undefined;
      else this.#frameSinceMs ??= this.#clock.now();
    } catch (error) {
      this.abort(error instanceof Error ? error : new ProtocolError(String(error)));
    }
  }

  readonly #onHalfClose = (): void => {
    if (this.#ended || this.#stream.status === "aborted" || this.#stream.status === "reset") return;
    // What is kept comes first.
    this.#halfClosed = this.#decoder.isPaused;
    if (this.#halfClosed) return;
    if (this.#decoder.isInsideFrame) this.abort(new ProtocolError("the stream ended inside a frame"));
    else this.#user.onHalfClose();
  };

  readonly #onClose = (event: StreamCloseEvent): void => this.#end(event.error);

  #end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#decoder.stop();
    this.#stopLinger?.();
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#stream.removeEventListener("message", this.#onData);
    this.#stream.removeEventListener("end", this.#onHalfClose);
    this.#stream.removeEventListener("close", this.#onClose);
    this.#stream.removeEventListener("drain", this.#flush);
    this.#user.onEnd(error);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    while (this.#queue.length > 0 && !this.ended && !this.#stream.writableNeedsDrain) this.#writeSome();
    this.#onWrote?.();
    if (!this.#wasFull || this.ended || this.isFull) return;
    this.#wasFull = false;
    this.#user.onRoom();
  };

  #writeSome(): void {
    const queue = this.#queue;
    const frames: Frame[] = [];
    let bytes = 0;
    let taken = 0;
    for (; taken < queue.length && bytes < WRITE_BYTES; taken++) {
      const frame = queue[taken];
      if (!frame) break;
      this.#queuedBytes -= frame.bytes;
      if (frame.sending?.dropped === true) continue;
      frames.push(frame);
      bytes += frame.bytes;
    }
    this.#queue = taken === queue.length ? [] : queue.slice(taken);
    if (frames.length === 0) return;
    for (const { sending } of frames) if (sending) sending.sent = true;
    try {
      this.#stream.send(encodeFrames(frames));
    } catch (cause) {
      this.abort(new ConnectionLostError("the stream broke while it was written", { cause }));
    }
  }
}
