/**
 * A `fetch` over node:http with kept-alive connections, for MCP over HTTP.
 *
 * The global fetch costs a client more than everything else of a call together (reference/mcp.md, D15). This one also
 * knows whether anything was sent before it failed, which decides what may be repeated.
 */
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import type { FetchLike } from "@modelcontextprotocol/client";
import {
  ConnectionLostError,
  InvalidInputError,
  MessageTooLargeError,
  ServerBusyError,
  UnreachableError,
} from "../errors.ts";

/** The largest body that is read into memory: well above what one MCP message may be. */
const MAX_BODY_BYTES: number = 64 * 1024 * 1024;
/** How long an unused connection is kept; servers that close earlier say so, and Node's agent heeds it. */
const KEEP_ALIVE_MS = 15_000;
/** How many unused connections are kept for each server. */
const MAX_FREE_SOCKETS = 32;
/** Statuses whose responses have no body. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);
/** Statuses by which a server says that it did not begin with the request. */
const BUSY: ReadonlySet<number> = new Set([429, 503]);

/** A fetch with connections of its own. */
export interface LightFetch {
  /** Rejects with UnreachableError if nothing was sent, ConnectionLostError afterwards, ServerBusyError on 429 and 503 with Retry-After. */
  readonly fetch: FetchLike;
  /** Ends all connections. */
  close(): void;
}

/**
 * Opens a fetch whose connections are kept until {@link LightFetch.close}. It follows no redirects.
 *
 * @param socketPath - Unix socket that all requests go to, whatever host their URL names; absent: that host
 */
export function openLightFetch(socketPath?: string): LightFetch {
  const options = { keepAlive: true, timeout: KEEP_ALIVE_MS, maxFreeSockets: MAX_FREE_SOCKETS };
  const agents = { http: new HttpAgent(options), https: new HttpsAgent(options), socketPath };
  return {
    fetch: (url, init = {}) => exchange(new URL(url), init, agents),
    close() {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
  readonly socketPath: string | undefined;
}

function exchange(url: URL, init: RequestInit, agents: Agents): Promise<Response> {
  return new Promise((resolve, reject) => {
    const { body, signal } = init;
    if (body !== undefined && body !== null && typeof body !== "string") {
      throw new InvalidInputError("the body of an MCP request is text");
    }
    const secure = url.protocol === "https:";
    const options = {
      method: init.method ?? "GET",
      headers: headersOf(init.headers, body ?? undefined),
      agent: secure ? agents.https : agents.http,
      ...(signal ? { signal } : {}),
      ...(agents.socketPath === undefined ? {} : { socketPath: agents.socketPath }),
    };
    const request = secure ? httpsRequest(url, options) : httpRequest(url, options);
    let connected = false;
    request.on("socket", (socket) => {
      if (socket.connecting) socket.once("connect", () => (connected = true));
      else connected = true;
    });
    request.on("error", (error) => reject(failureOf(error, url, connected, signal)));
    request.on("response", (incoming) => {
      responseOf(incoming, url).then(resolve, (error: unknown) =>
        reject(failureOf(error, url, true, signal)),
      );
    });
    request.end(body ?? undefined);
  });
}

function headersOf(given: RequestInit["headers"], body: string | undefined): Record<string, string> {
  const headers = Object.fromEntries(new Headers(given));
  return body === undefined ? headers : { ...headers, "content-length": String(Buffer.byteLength(body)) };
}

async function responseOf(incoming: IncomingMessage, url: URL): Promise<Response> {
  const status = incoming.statusCode ?? 0;
  const retryAfterMs = BUSY.has(status) ? parseRetryAfter(incoming.headers["retry-after"]) : undefined;
  if (retryAfterMs !== undefined) {
    incoming.resume();
    throw new ServerBusyError(`${url.origin} answered ${status}`, retryAfterMs);
  }
  const headers = new Headers();
  for (const [name, values] of Object.entries(incoming.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  const init = { status, statusText: incoming.statusMessage ?? "", headers };
  if (BODILESS.has(status)) {
    incoming.resume();
    return new Response(null, init);
  }
  if (headers.get("content-type")?.startsWith("text/event-stream")) {
    return new Response(Readable.toWeb(incoming), init);
  }
  return new Response(await bodyOf(incoming, url), init);
}

async function bodyOf(incoming: IncomingMessage, url: URL): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming) {
    const part: Buffer = chunk;
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES)
      throw new MessageTooLargeError(`${url.origin} sent more than ${MAX_BODY_BYTES} bytes`);
    chunks.push(part);
  }
  return Buffer.concat(chunks, bytes).toString("utf8");
}

/** Milliseconds that a Retry-After header asks for (RFC 9110, 10.2.3: seconds, or a date); undefined if it says nothing. */
function parseRetryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}

function failureOf(
  error: unknown,
  url: URL,
  connected: boolean,
  signal: AbortSignal | null | undefined,
): unknown {
  if (signal?.aborted || error instanceof ServerBusyError || error instanceof MessageTooLargeError)
    return error;
  const why = error instanceof Error ? error.message || error.name : String(error);
  return connected
    ? new ConnectionLostError(`the connection to ${url.origin} broke: ${why}`, { cause: error })
    : new UnreachableError(`${url.origin} cannot be reached: ${why}`, { cause: error });
}
