/**
 * The server's side of MCP over standard input and output: one JSON message a line, and nothing else on the output.
 *
 * The end of the input ends the connection. What was asked before is still answered, as far as it takes no longer
 * than {@link DRAIN_MS}, so that `printf … | mcpp serve --stdio` gets its answers.
 */
import type { Readable, Writable } from "node:stream";
import {
  isJSONRPCRequest,
  type JSONRPCMessage,
  parseJSONRPCMessage,
  type RequestId,
  type Transport,
} from "@modelcontextprotocol/server";
import { type Clock, systemClock } from "../clock.ts";
import { ConnectionLostError, ProtocolError } from "../errors.ts";
import { LineCutter } from "./lines.ts";
import { drained } from "./drained.ts";

/** The longest line that is read: a task's payload and its envelope fit. A longer one ends the connection. */
export const MAX_LINE_BYTES: number = 16 * 1024 * 1024;
/** How long requests may go on after the input has ended. A host that closes it waits only a few seconds itself. */
export const DRAIN_MS = 2000;

/** Options of {@link stdioTransport}. */
export interface StdioOptions {
  readonly stdin: Readable;
  readonly stdout: Writable;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
}

/** A transport over a pair of streams. It owns neither: closing stops reading and writes no more. */
export function stdioTransport(options: StdioOptions): Transport {
  return new StdioTransport(options);
}

class StdioTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: NonNullable<Transport["onmessage"]>;
  readonly #stdin: Readable;
  readonly #stdout: Writable;
  readonly #clock: Clock;
  readonly #lines = new LineCutter(MAX_LINE_BYTES);
  readonly #unanswered = new Set<RequestId>();
  #state: "open" | "ending" | "closed" = "open";
  #cancelDrain: (() => void) | undefined;

  constructor({ stdin, stdout, clock = systemClock }: StdioOptions) {
    this.#stdin = stdin;
    this.#stdout = stdout;
    this.#clock = clock;
  }

  async start(): Promise<void> {
    this.#stdin
      .on("data", this.#onData)
      .on("end", this.#onEnd)
      .on("close", this.#onEnd)
      .on("error", this.#onBroken);
    this.#stdout.on("error", this.#onBroken).on("close", this.#onGone);
    if (this.#stdin.readableEnded || this.#stdin.destroyed) this.#onEnd();
  }

  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#state === "closed") throw new ConnectionLostError("standard output is closed");
    const flowing = this.#stdout.write(`${JSON.stringify(message)}\n`);
    if ("id" in message && !("method" in message) && message.id !== undefined)
      this.#unanswered.delete(message.id);
    if (!flowing) await drained(this.#stdout);
    if (this.#state === "ending") this.#closeIfAnswered();
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#cancelDrain?.();
    this.#stdin.off("data", this.#onData).off("end", this.#onEnd).off("close", this.#onEnd).pause();
    this.#stdout.off("close", this.#onGone);
    // The error listeners stay: a late failure of a stream that nobody uses any more must not end the process.
    this.onclose?.();
  }

  readonly #onData = (chunk: Buffer | string): void => {
    for (const line of this.#lines.push(Buffer.from(chunk))) this.#onLine(line);
    if (this.#lines.overflown)
      this.#onBroken(new ProtocolError(`a line is longer than ${MAX_LINE_BYTES} bytes`));
  };

  #onLine(line: Buffer): void {
    if (this.#state !== "open" || line.every((byte) => byte === 0x20 || byte === 0x0d || byte === 0x09))
      return;
    if (line.length > MAX_LINE_BYTES) {
      this.#onBroken(new ProtocolError(`a line is longer than ${MAX_LINE_BYTES} bytes`));
      return;
    }
    const message = this.#parse(line);
    if (!message) return;
    // A subscription is never answered, so nobody waits for its answer.
    if (isJSONRPCRequest(message) && message.method !== "subscriptions/listen")
      this.#unanswered.add(message.id);
    if ("method" in message && message.method === "notifications/cancelled") this.#forget(message.params);
    this.onmessage?.(message);
  }

  /** A line that is no message is answered as JSON-RPC says, and the connection goes on. */
  #parse(line: Buffer): JSONRPCMessage | undefined {
    try {
      return parseJSONRPCMessage(JSON.parse(line.toString("utf8")));
    } catch (cause) {
      const broken = cause instanceof SyntaxError;
      const error = broken
        ? { code: -32_700, message: "Parse error" }
        : { code: -32_600, message: "Invalid request" };
      this.#stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id: null, error })}\n`);
      this.onerror?.(new ProtocolError("a line on standard input is no JSON-RPC message", { cause }));
      return undefined;
    }
  }

  /** A cancelled request gets no answer. */
  #forget(params: Readonly<Record<string, unknown>> | undefined): void {
    const id = params?.["requestId"];
    if (typeof id === "string" || typeof id === "number") this.#unanswered.delete(id);
  }

  readonly #onEnd = (): void => {
    if (this.#state !== "open") return;
    this.#state = "ending";
    this.#cancelDrain = this.#clock.schedule(() => void this.close(), DRAIN_MS);
    this.#closeIfAnswered();
  };

  #closeIfAnswered(): void {
    if (this.#unanswered.size === 0) void this.close();
  }

  readonly #onBroken = (error: Error): void => {
    if (this.#state === "closed") return;
    this.onerror?.(error);
    void this.close();
  };

  readonly #onGone = (): void => void this.close();
}
