/**
 * Frames of `/mcp+p2p/1.0.0`: a length of four bytes, big-endian, then as many bytes of JSON in UTF-8
 * (Profile E, requirements 9 to 12).
 *
 * A frame that lies whole in a chunk is parsed in place. One in pieces is gathered in a buffer that grows with
 * what arrives, so four hostile bytes never make us allocate what they announce.
 */
import { isUtf8 } from "node:buffer";
import { isDeeper } from "../content/depth.ts";
import { isJsonObject, type JsonObject } from "../content/json.ts";
import { ProtocolError } from "../errors.ts";

/** Bytes of the length before each body. */
export const HEAD_BYTES = 4;
/** The first size of the buffer that gathers a frame in pieces. */
const FIRST_BUFFER_BYTES = 64 * 1024;
/** What the decoder of Buffer puts in place of bytes that are no UTF-8. */
const REPLACEMENT = "\uFFFD";

/** Cuts a stream of bytes into messages. */
export class FrameDecoder {
  readonly #maxBytes: () => number;
  readonly #onMessage: (message: JsonObject, bytes: number) => void;
  readonly #parseText: (text: string) => unknown;
  readonly #head: Buffer = Buffer.alloc(HEAD_BYTES);
  #headLength = 0;
  #body: Buffer | undefined;
  #bodyLength = 0;
  #bodySize = 0;
  #stopped = false;
  #paused = false;
  /** What came after it was paused. */
  #rest: Uint8Array[] = [];
  readonly #maxDepth: number;

  /**
   * @param maxBytes - asked for each frame, since trust may grow while the stream is open
   * @param onMessage - called for each message, in order, with the size of its body
   * @param parseText - reads the text of a body. Default: strict JSON
   * @param maxDepth - how deep a body may be nested. Default: as deep as it is
   */
  constructor(
    maxBytes: () => number,
    onMessage: (message: JsonObject, bytes: number) => void,
    parseText: (text: string) => unknown = JSON.parse,
    maxDepth: number = Infinity,
  ) {
    this.#maxDepth = maxDepth;
    this.#maxBytes = maxBytes;
    this.#onMessage = onMessage;
    this.#parseText = parseText;
  }

  /** How large the frame is that has begun, as far as it has said so. */
  get announcedBytes(): number {
    return this.#headLength < HEAD_BYTES ? 0 : this.#bodySize;
  }

  /** Whether a frame has begun that is not complete. */
  get isInsideFrame(): boolean {
    return this.#headLength > 0;
  }

  /** Whether it keeps what comes instead of delivering it. */
  get isPaused(): boolean {
    return this.#paused;
  }

  /** Nothing more is delivered, not even what the current chunk still holds. */
  stop(): void {
    this.#stopped = true;
    this.#body = undefined;
    this.#rest = [];
  }

  /** Keeps the bytes of what comes next, what the current chunk still holds among it, until {@link resume}. */
  pause(): void {
    this.#paused = true;
  }

  /** Goes on with what was kept; it may be paused again meanwhile. @throws what {@link push} throws */
  resume(): void {
    this.#paused = false;
    const kept = this.#rest;
    this.#rest = [];
    for (const chunk of kept) this.push(chunk);
  }

  /**
   * Takes the next bytes of the stream.
   *
   * @throws ProtocolError if a frame is larger than allowed, or its body no JSON object in UTF-8
   */
  push(chunk: Uint8Array): void {
    if (this.#paused) {
      this.#rest.push(chunk);
      return;
    }
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (at < bytes.length && !this.#stopped && !this.#paused) {
      const whole = this.#headLength === 0 && bytes.length - at >= HEAD_BYTES;
      const size = whole ? this.#checked(bytes.readUInt32BE(at)) : undefined;
      const end = size === undefined ? Infinity : at + HEAD_BYTES + size;
      if (size !== undefined && end <= bytes.length) {
        this.#onMessage(this.#parse(bytes, at + HEAD_BYTES, end), size);
        at = end;
      } else {
        at = this.#gather(bytes, at);
      }
    }
    if (at < bytes.length && !this.#stopped) this.#rest.unshift(bytes.subarray(at));
  }

  #checked(size: number): number {
    const max = this.#maxBytes();
    if (size > max) throw new ProtocolError(`a frame of ${size} bytes is announced, ${max} are allowed`);
    return size;
  }

  #parse(bytes: Buffer, from: number, to: number): JsonObject {
    const text = bytes.toString("utf8", from, to);
    // The replacement character may be a real one; only then is it worth looking twice.
    if (text.includes(REPLACEMENT) && !isUtf8(bytes.subarray(from, to)))
      throw new ProtocolError("a frame is not UTF-8");
    if (isDeeper(text, this.#maxDepth))
      throw new ProtocolError(`a frame is nested deeper than ${this.#maxDepth}`);
    const message = parseJson(text, this.#parseText);
    if (!isJsonObject(message)) throw new ProtocolError("a frame is no JSON object");
    return message;
  }

  #gather(bytes: Buffer, from: number): number {
    let at = from;
    while (this.#headLength < HEAD_BYTES && at < bytes.length) {
      this.#head[this.#headLength++] = bytes[at++] ?? 0;
      if (this.#headLength === HEAD_BYTES) this.#bodySize = this.#checked(this.#head.readUInt32BE(0));
    }
    if (this.#headLength < HEAD_BYTES) return at;

    const taken = Math.min(this.#bodySize - this.#bodyLength, bytes.length - at);
    const body = this.#room(taken);
    bytes.copy(body, this.#bodyLength, at, at + taken);
    this.#bodyLength += taken;
    if (this.#bodyLength === this.#bodySize) {
      const size = this.#bodySize;
      this.#headLength = 0;
      this.#bodyLength = 0;
      this.#body = undefined;
      this.#onMessage(this.#parse(body, 0, size), size);
    }
    return at + taken;
  }

  #room(more: number): Buffer {
    const needed = this.#bodyLength + more;
    const body = this.#body ?? Buffer.allocUnsafe(Math.min(this.#bodySize, FIRST_BUFFER_BYTES));
    this.#body = body;
    if (body.length >= needed) return body;
    const larger = Buffer.allocUnsafe(Math.min(this.#bodySize, Math.max(needed, body.length * 2)));
    body.copy(larger, 0, 0, this.#bodyLength);
    this.#body = larger;
    return larger;
  }
}

function parseJson(text: string, parseText: (text: string) => unknown): unknown {
  try {
    return parseText(text);
  } catch (cause) {
    throw new ProtocolError("a frame is not JSON", { cause });
  }
}

/** Writes texts, whose sizes in bytes are known, one after the other as frames. */
export function encodeFrames(frames: readonly { readonly text: string; readonly bytes: number }[]): Buffer {
  let total = 0;
  for (const frame of frames) total += HEAD_BYTES + frame.bytes;
  const out = Buffer.allocUnsafe(total);
  let at = 0;
  for (const { text, bytes } of frames) {
    at = out.writeUInt32BE(bytes, at);
    at += out.write(text, at, "utf8");
  }
  return out;
}
