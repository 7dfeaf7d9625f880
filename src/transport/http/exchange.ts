/** One HTTP request of the stateless era and the answer that belongs to it. */
import type { ServerResponse } from "node:http";
import type { JSONRPCErrorResponse, JSONRPCMessage, RequestId } from "@modelcontextprotocol/server";
import { drained } from "../drained.ts";
import {
  HEADER_MISMATCH_CODE,
  HTTP_ERROR_CODE,
  METHOD_NOT_FOUND_CODE,
  sendJson,
  sendJsonText,
  sendRpcError,
  UNSUPPORTED_VERSION_CODE,
} from "./answer.ts";

/** Errors that say the request was wrong as such, which HTTP must tell by its status too. -32021 is a missing capability. */
const BAD_REQUEST_CODES: ReadonlySet<number> = new Set([
  -32_600,
  -32_700,
  HEADER_MISMATCH_CODE,
  -32_021,
  UNSUPPORTED_VERSION_CODE,
]);
/** A client that does not read its events is cut off when so much waits for it. */
const MAX_BACKLOG_BYTES: number = 16 * 1024 * 1024;

const SSE_HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache",
  // Proxies that collect answers would hold events back.
  "x-accel-buffering": "no",
};

/** Answers with plain JSON, or with a stream of events once something is to be told before the answer. */
export class Exchange {
  /** The id by which the client knows the request. */
  readonly id: RequestId;
  /** When it began, by the clock of its channel. */
  readonly startedMs: number;
  /** To be called if it ends without an answer, because the client or the server went away. */
  readonly onLost: () => void;
  readonly #response: ServerResponse;
  readonly #takesEvents: boolean;
  #streaming = false;

  constructor(id: RequestId, response: ServerResponse, startedMs: number, onLost: () => void) {
    this.id = id;
    this.onLost = onLost;
    this.startedMs = startedMs;
    this.#response = response;
    this.#takesEvents = (response.req.headers.accept ?? "").includes("text/event-stream");
  }

  /** Tells the client something before the answer. A client that takes no events is not told. */
  async notify(message: JSONRPCMessage): Promise<void> {
    if (!this.#takesEvents) return;
    this.#open();
    await this.#write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
  }

  /** Keeps the connection from looking dead to the client or a proxy. */
  keepAlive(): void {
    if (!this.#takesEvents || this.#response.writableNeedDrain) return;
    this.#open();
    this.#response.write(": waiting\n\n");
  }

  /** Ends the exchange with its answer. */
  answer(message: JSONRPCMessage): void {
    const whole = { ...message, id: this.id };
    if (this.#streaming) this.#response.end(`event: message\ndata: ${JSON.stringify(whole)}\n\n`);
    else sendJson(this.#response, "error" in message ? statusOf(message) : 200, whole);
  }

  /** Ends the exchange with a result that is JSON text already. */
  answerText(result: string): void {
    const whole = `{"result":${result},"jsonrpc":"2.0","id":${JSON.stringify(this.id)}}`;
    if (this.#streaming) this.#response.end(`event: message\ndata: ${whole}\n\n`);
    else sendJsonText(this.#response, 200, whole);
  }

  /** Ends the exchange without one, because the server goes away. */
  abandon(): void {
    if (this.#streaming) this.#response.end();
    else
      sendRpcError(
        this.#response,
        503,
        { code: HTTP_ERROR_CODE, message: "the server is shutting down" },
        this.id,
      );
  }

  #open(): void {
    if (this.#streaming || this.#response.headersSent) return;
    this.#streaming = true;
    this.#response.writeHead(200, SSE_HEADERS);
  }

  async #write(text: string): Promise<void> {
    if (this.#response.destroyed) return;
    if (this.#response.writableLength > MAX_BACKLOG_BYTES) this.#response.destroy();
    else if (!this.#response.write(text)) await drained(this.#response);
  }
}

function statusOf({ error }: JSONRPCErrorResponse): number {
  if (error.code === METHOD_NOT_FOUND_CODE) return 404;
  return BAD_REQUEST_CODES.has(error.code) ? 400 : 200;
}
