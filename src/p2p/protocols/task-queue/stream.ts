/**
 * One stream of the old wire: one line of JSON in, one out, goodbye (contract.md 2.2).
 *
 * A request ends with the first chunk that holds a newline; what follows the newline within that chunk belongs to it,
 * and so makes it invalid, while later chunks are not looked at. The old service reads no further either.
 */
import { isUtf8 } from "node:buffer";
import type { Stream, StreamCloseEvent, StreamMessageEvent } from "@libp2p/interface";
import { isDeeper } from "../../../content/depth.ts";
import { isJsonObject, type JsonObject } from "../../../content/json.ts";
import { isExactInteger, parsePythonJson, writePythonJson } from "../../../content/python-json.ts";
import {
  BusyError,
  ConnectionLostError,
  errorFacts,
  InvalidInputError,
  ProtocolError,
} from "../../../errors.ts";
import type { CancelScope } from "../../../nursery/index.ts";
import { isSameToken } from "../../../peer/token.ts";
import type { Session } from "../../session.ts";
import type { ProtocolContext, ServedStream, ServedWire } from "../protocol.ts";
import { type AnswerOptions, answerOld } from "./answer.ts";
import { refused } from "./operation.ts";

/** Longest line of a stranger who may still show the token: what the old service itself reads, 1 MiB. */
export const STRANGER_LINE_BYTES: number = 1024 * 1024;
/** All unfinished lines of strangers together, since each of them may come under a new identity. */
export const MAX_STRANGER_LINES_BYTES: number = 64 * 1024 * 1024;
/** How long a request may take to arrive; old clients give up after 20 s. */
export const REQUEST_MS = 30_000;
/** How long the last bytes of an answer may take to leave before the stream is reset. */
export const ANSWER_MS = 30_000;

const NEWLINE = 0x0a;

/** What the streams of one host share. */
export interface OldWire {
  readonly context: ProtocolContext;
  readonly answer: AnswerOptions;
  /** Bytes of unfinished lines that strangers have sent. */
  strangerBytes: number;
}

/** Serves one stream until it ends. */
export class OldStream implements ServedStream {
  readonly wire: ServedWire;
  readonly #stream: Stream;
  readonly #session: Session;
  readonly #shared: OldWire;
  readonly #onGone: (served: OldStream) => void;
  readonly #isStranger: boolean;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #state: "reading" | "answering" | "closing" | "ended" = "reading";
  #scope: CancelScope | undefined;
  #stopTimer: () => void;

  constructor(stream: Stream, session: Session, shared: OldWire, onGone: (served: OldStream) => void) {
    this.#stream = stream;
    this.#session = session;
    this.#shared = shared;
    this.#onGone = onGone;
    this.#isStranger = session.isStranger;
    this.wire = this.#ownWire();
    stream.addEventListener("message", this.#onData);
    stream.addEventListener("end", this.#onHalfClose);
    stream.addEventListener("close", this.#onClose);
    this.#stopTimer = shared.context.clock.schedule(() => this.#tooSlow(), REQUEST_MS);
    // Both may have happened before anybody listened.
    if (stream.status !== "open") queueMicrotask(() => this.#end());
    else if (stream.readableEnded) queueMicrotask(this.#onHalfClose);
  }

  get serving(): number {
    return this.#state === "answering" ? 1 : 0;
  }

  /** Never: each state has a limit of its own. */
  isIdleAt(_nowMs: number): boolean {
    return false;
  }

  get #maxBytes(): number {
    const { limits, sharedToken } = this.#shared.context;
    if (!this.#isStranger) return limits.maxFrameBytes;
    return sharedToken === undefined ? limits.strangerFrameBytes : STRANGER_LINE_BYTES;
  }

  #ownWire(): ServedWire {
    const stream = this.#stream;
    return {
      get unsentBytes() {
        return stream.writeBufferLength;
      },
      get peakUnsentBytes() {
        return stream.writeBufferLength;
      },
      close: () => this.#close(),
      closeSoon: () => void this.#close(),
      abort: (error) => this.#abort(error),
    };
  }

  readonly #onData = (event: StreamMessageEvent): void => {
    if (this.#state !== "reading") return;
    const { data } = event;
    const chunk = data instanceof Uint8Array ? data : data.subarray();
    this.#chunks.push(chunk);
    this.#count(chunk.byteLength);
    if (this.#bytes > this.#maxBytes) this.#reply(refused("frame_too_large"));
    else if (this.#shared.strangerBytes > MAX_STRANGER_LINES_BYTES && this.#isStranger)
      this.#abort(new BusyError("too much is being sent by strangers"));
    else if (chunk.includes(NEWLINE)) this.#onRequest();
  };

  readonly #onHalfClose = (): void => {
    if (this.#state !== "reading" || this.#stream.status === "aborted" || this.#stream.status === "reset")
      return;
    if (this.#bytes === 0) void this.#close();
    else this.#onRequest();
  };

  readonly #onClose = (_event: StreamCloseEvent): void => this.#end();

  #tooSlow(): void {
    const error = new ProtocolError("the request did not arrive in time");
    this.#session.budget.offend("slow message", error.message);
    this.#abort(error);
  }

  /** Counts bytes that are held for an unfinished line. */
  #count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#isStranger) this.#shared.strangerBytes += bytes;
  }

  #takeText(): string | undefined {
    const line = Buffer.concat(this.#chunks);
    this.#forget();
    return isUtf8(line) ? line.toString("utf8") : undefined;
  }

  #forget(): void {
    this.#chunks = [];
    this.#count(-this.#bytes);
  }

  #onRequest(): void {
    const session = this.#session;
    const text = this.#takeText();
    const { maxJsonDepth } = this.#shared.context.limits;
    const request = text === undefined || isDeeper(text, maxJsonDepth) ? undefined : parsed(text);
    if (request === undefined) this.#reply(refused("invalid_json"));
    else if (!isJsonObject(request) || isExactInteger(request)) this.#reply(refused("invalid_message"));
    else if (session.budget.serving >= session.maxServing) this.#reply(refused("busy"));
    else this.#serve(request);
  }

  #serve(request: JsonObject): void {
    const { context, answer } = this.#shared;
    const { caller, budget } = this.#session;
    // It shows the token with each request; what it may use is not that of a stranger from now on.
    if (context.sharedToken !== undefined && isSameToken(context.sharedToken, request["token"]))
      budget.markKnown();
    this.#state = "answering";
    this.#stopTimer();
    budget.serving += 1;
    const ended = context.nursery.run(
      (scope) => {
        this.#scope = scope;
        if (this.#state === "ended") scope.cancel("the caller's stream ended");
        return answerOld(request, asker(caller, scope), answer);
      },
      { timeoutMs: context.limits.maxCallMs },
    );
    ended.then(
      (reply) => this.#finish(reply),
      (error: unknown) => this.#finish(notInTime(error)),
    );
  }

  #finish(reply: JsonObject): void {
    this.#session.budget.serving -= 1;
    this.#reply(reply);
  }

  #reply(reply: JsonObject): void {
    this.#forget();
    if (this.#state === "ended" || this.#state === "closing") return;
    const { answer, context } = this.#shared;
    const whole = { ...reply, peer_id: reply["peer_id"] ?? answer.peerId };
    try {
      this.#stream.send(lineOf(whole, context.limits.maxFrameBytes, answer.peerId));
    } catch (cause) {
      this.#abort(new ConnectionLostError("the stream broke while it was written", { cause }));
      return;
    }
    void this.#close();
  }

  async #close(): Promise<void> {
    if (this.#state === "ended" || this.#state === "closing") return;
    this.#state = "closing";
    this.#stopTimer();
    this.#scope?.cancel("the host is closing");
    this.#stopTimer = this.#shared.context.clock.schedule(
      () => this.#abort(new ConnectionLostError("the peer did not read its answer in time")),
      ANSWER_MS,
    );
    try {
      await this.#stream.close();
      // One request a stream: whatever the peer still sends is for nobody.
      await this.#stream.closeRead();
    } catch (cause) {
      // Rejects if the stream was reset meanwhile, by the timer above or the peer: it has ended either way.
      this.#abort(new ConnectionLostError("the stream broke while it was being closed", { cause }));
    }
  }

  #abort(error: Error): void {
    if (this.#state === "ended") return;
    this.#end();
    this.#stream.abort(error);
  }

  #end(): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#stopTimer();
    this.#forget();
    this.#scope?.cancel("the caller's stream ended");
    this.#stream.removeEventListener("message", this.#onData);
    this.#stream.removeEventListener("end", this.#onHalfClose);
    this.#stream.removeEventListener("close", this.#onClose);
    this.#onGone(this);
  }
}

function asker(
  caller: Session["caller"],
  scope: CancelScope,
): { readonly caller: Session["caller"]; readonly signal: AbortSignal } {
  return { caller, signal: scope.signal };
}

/** The request in a text; undefined if it is not even JSON. */
function parsed(text: string): unknown {
  try {
    return parsePythonJson(text);
  } catch (error) {
    if (error instanceof InvalidInputError) return undefined;
    throw error;
  }
}

/** An answer as a line; one that is too long is replaced, never cut. */
function lineOf(reply: JsonObject, maxBytes: number, peerId: string): Buffer {
  const line = Buffer.from(`${writePythonJson(reply)}\n`);
  if (line.byteLength <= maxBytes) return line;
  const hint = "ask for less: list with a limit and its next_cursor, or single tasks";
  const instead = {
    ...refused("answer_too_large"),
    detail: `${line.byteLength} bytes`,
    hint,
    peer_id: peerId,
  };
  return Buffer.from(`${writePythonJson(instead)}\n`);
}

function notInTime(error: unknown): JsonObject {
  const { code, message } = errorFacts(error);
  return { ...refused(code === "E_TIMEOUT" ? "timeout" : "internal_error"), detail: message };
}
