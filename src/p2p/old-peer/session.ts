/**
 * A stream in the initialize-first dialect of `/mcp+p2p/1.0.0`, as the Python service speaks it (profile notes 2.5).
 *
 * JSON-RPC 2.0 in frames; the first request is `initialize`, then the old messages ride on `tools/call` of the tool
 * `task_queue.rpc`. The service answers one after the other, counts the frames of a stream, and reads frames of 1 MiB;
 * its answer to `initialize` may name other limits. One call at a time, so a slow one holds up nobody else's answer.
 */
import type { Connection, Stream } from "@libp2p/interface";
import * as z from "zod";
import type { Clock } from "../../clock.ts";
import { isJsonObject, type JsonObject, jsonObject } from "../../content/json.ts";
import { parsePythonJson, writePythonJson } from "../../content/python-json.ts";
import {
  BusyError,
  ConnectionLostError,
  MessageTooLargeError,
  ProtocolError,
  RemoteError,
  UnreachableError,
} from "../../errors.ts";
import { suspend } from "../../nursery/index.ts";
import { VERSION } from "../../version.ts";
import type { P2pLimits } from "../limits.ts";
import { remoteError } from "../message.ts";
import { openStream } from "../open-stream.ts";
import { type Sending, Wire, type WireUser } from "../wire.ts";
import { refusalOf } from "./refusal.ts";

/** The tool that takes old messages. */
export const TASK_QUEUE_TOOL = "task_queue.rpc";
/** The revision of MCP that the dialect is of. */
const REVISION = "2024-11-05";
const PROFILE = "mcp++/p2p-transport";
/** What a frame may hold, and how many a stream may carry, if the peer does not say. */
const DEFAULT_MAX_FRAME_BYTES: number = 1024 * 1024;
const DEFAULT_MAX_FRAMES = 128;
/** JSON-RPC errors of the dialect. */
const UNAUTHORIZED = -32001;
const FRAMING = -32003;
const RATE_LIMITED = -32010;

const welcomeSchema = z.object({
  limits: z
    .object({
      max_frame_bytes: z.number().positive().optional().catch(undefined),
      max_frames: z.number().positive().optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
});

/** Reads and writes Python's kind of JSON. */
const PYTHON_JSON = { parse: parsePythonJson, write: writePythonJson };

/** What a stream needs. */
export interface OldSessionOptions {
  readonly clock: Clock;
  readonly limits: P2pLimits;
}

interface Waiter extends Sending {
  readonly id: number;
  readonly resume: (message: JsonObject) => void;
  readonly fail: (error: unknown) => void;
}

/** One stream, used by one call at a time. */
export class OldSession implements WireUser {
  readonly wire: Wire;
  readonly #peerId: string;
  #waiter: Waiter | undefined;
  #lastId = 0;
  #maxFrameBytes = DEFAULT_MAX_FRAME_BYTES;
  #maxFrames = DEFAULT_MAX_FRAMES;

  constructor(stream: Stream, peerId: string, options: OldSessionOptions) {
    this.#peerId = peerId;
    this.wire = new Wire(stream, this, { ...options, codec: PYTHON_JSON });
  }

  /** Whether one more call can be made; the last frame that the peer allows is never sent. */
  get isUsable(): boolean {
    return !this.wire.ended && this.#waiter === undefined && this.#lastId < this.#maxFrames - 1;
  }

  /** Introduces this node, and learns the limits of the peer. */
  async initialize(): Promise<void> {
    const welcome = await this.#request("initialize", {
      protocolVersion: REVISION,
      capabilities: { "mcp++": { profiles: [PROFILE] }, experimental: { [PROFILE]: {} } },
      clientInfo: { name: "mcplusplus", version: VERSION },
      profiles: [PROFILE],
    });
    const { limits } = welcomeSchema.parse(jsonObject.catch({}).parse(welcome));
    this.#maxFrameBytes = limits?.max_frame_bytes ?? DEFAULT_MAX_FRAME_BYTES;
    this.#maxFrames = limits?.max_frames ?? DEFAULT_MAX_FRAMES;
  }

  /** Sends an old message and returns the old answer. @throws as {@link OldSession.initialize}, MessageTooLargeError */
  async ask(message: JsonObject): Promise<JsonObject> {
    const result = await this.#request("tools/call", { name: TASK_QUEUE_TOOL, arguments: message });
    const answer = answerIn(result);
    if (answer) return answer;
    throw new ProtocolError(`the answer of ${TASK_QUEUE_TOOL} has the wrong shape`);
  }

  onMessage(message: JsonObject): void {
    const waiter = this.#waiter;
    // Requests and notifications of the peer are nothing to us; an error without an id ends the stream.
    const isOurs = message["id"] === waiter?.id || (message["id"] === null && message["error"] !== undefined);
    if (!waiter?.sent || !isOurs || typeof message["method"] === "string") return;
    this.#waiter = undefined;
    waiter.resume(message);
  }

  onHalfClose(): void {
    this.wire.abort(new ConnectionLostError(`peer ${this.#peerId} ended the stream`));
  }

  onRoom(): void {
    // One message at a time never fills it.
  }

  onEnd(error: Error | undefined): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (error instanceof ProtocolError) waiter?.fail(error);
    else waiter?.fail(this.#broken(waiter.sent, error));
  }

  #broken(sent: boolean, cause: Error | undefined): Error {
    const message = `the connection to peer ${this.#peerId} broke`;
    if (sent) return new ConnectionLostError(`${message} during the call`, { cause });
    return new UnreachableError(`${message} before the call was sent`, { cause });
  }

  async #request(method: string, params: JsonObject): Promise<unknown> {
    const id = ++this.#lastId;
    const request = { jsonrpc: "2.0", id, method, params };
    const bytes = Buffer.byteLength(writePythonJson(request));
    if (bytes > this.#maxFrameBytes)
      throw new MessageTooLargeError(`a request of ${bytes} bytes; the peer reads ${this.#maxFrameBytes}`);
    const answer = await suspend<JsonObject>((resume, fail) => {
      const waiter = { id, resume, fail, sent: false, dropped: false };
      this.#waiter = waiter;
      try {
        this.wire.send(request, waiter);
      } catch (error) {
        this.#waiter = undefined;
        fail(error instanceof ConnectionLostError ? this.#broken(false, error) : error);
      }
      // The answer may still come; only another stream is free of it.
      return (reason) => {
        this.#waiter = undefined;
        this.wire.abort(new ConnectionLostError("the call was given up"));
        fail(reason);
      };
    });
    if (answer["error"] !== undefined && answer["error"] !== null)
      throw errorOf(this.#peerId, answer["error"]);
    return answer["result"];
  }
}

/** Opens a stream and introduces this node. @throws UnreachableError, RemoteError, ConnectionLostError */
export async function openSession(connection: Connection, options: OldSessionOptions): Promise<OldSession> {
  const stream = await openStream(connection);
  const session = new OldSession(stream, connection.remotePeer.toString(), options);
  try {
    await session.initialize();
    return session;
  } catch (error) {
    session.wire.abort(new ConnectionLostError("the stream was not used", { cause: error }));
    throw error;
  }
}

/** The old answer: what the tool returned, bare or as MCP wraps it. */
function answerIn(result: unknown): JsonObject | undefined {
  if (!isJsonObject(result)) return undefined;
  const { content, structuredContent } = result;
  if (isJsonObject(structuredContent)) return structuredContent;
  if (isJsonObject(content)) return content;
  const [first] = Array.isArray(content) ? z.array(z.unknown()).parse(content) : [];
  if (!isJsonObject(first) || typeof first["text"] !== "string") return undefined;
  try {
    const parsed = parsePythonJson(first["text"]);
    return isJsonObject(parsed) ? parsed : undefined;
  } catch (cause) {
    throw new ProtocolError("the text of an answer is not JSON", { cause });
  }
}

function errorOf(peerId: string, error: unknown): Error {
  const remote = remoteError(error);
  const { foreignCode, message } = remote;
  if (foreignCode === UNAUTHORIZED) return refusalOf(peerId, { error: "unauthorized" });
  if (foreignCode === RATE_LIMITED) return new BusyError(`peer ${peerId}: ${message}`);
  if (foreignCode !== FRAMING) return remote;
  return message === "frame_too_large" ? refusalOf(peerId, { error: message }) : asProtocol(remote);
}

function asProtocol(remote: RemoteError): ProtocolError {
  return new ProtocolError(`the peer could not read a frame: ${remote.message}`, { cause: remote });
}
