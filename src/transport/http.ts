/** The server's side of MCP over Streamable HTTP, on loopback: both eras on one URL. */
import { once } from "node:events";
import { createServer, type Server, type ServerOptions, type ServerResponse } from "node:http";
import type { Transport } from "@modelcontextprotocol/server";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Nursery } from "../nursery/index.ts";
import { sendJson } from "./http/answer.ts";
import { HttpChannel } from "./http/channel.ts";
import { createEndpoint, type Endpoint } from "./http/endpoint.ts";
import { type HandedConnections, leaveSocket, takeHanded } from "./http/handed.ts";
import type { SchemaLookup } from "./http/headers.ts";
import { HTTP_LIMITS } from "./http/limits.ts";
import { listenAt, originOf, requireLoopback } from "./http/listen.ts";
import { OpenResponses } from "./http/open-responses.ts";
import type { PlainToolLookup } from "./http/plain-call.ts";
import { SiblingRequests } from "./http/sibling.ts";
import { DEFAULT_MAX_SESSIONS, type SessionRecord, Sessions } from "./http/sessions.ts";

export type { HandedConnections } from "./http/handed.ts";
export type { SessionRecord } from "./http/sessions.ts";
export { KEEP_ALIVE_MS } from "./http/channel.ts";
export { MAX_HTTP_BODY_BYTES } from "./http/body.ts";
export { DEFAULT_MAX_SESSIONS, SESSION_IDLE_MS } from "./http/sessions.ts";

/** Where MCP is mounted if the caller names nothing. */
export const DEFAULT_MCP_PATH = "/mcp";
/** How long running requests may take to end when the server closes. */
export const HTTP_DRAIN_MS = 5000;

/** How long other processes may take to end their connections: longer than one lasts without a request. */
const SIBLINGS_DRAIN_MS = 7000;

/** What {@link startHttp} needs. */
export interface HttpOptions {
  /** Loopback address or `localhost`. */
  readonly host: string;
  /** 0 means any free port. */
  readonly port: number;
  /** Default {@link DEFAULT_MCP_PATH}. */
  readonly path?: string | undefined;
  /** Origins of web pages that may use the endpoint. Default: none but loopback's, which get no CORS headers. */
  readonly corsOrigins?: readonly string[] | undefined;
  /** Owns the requests. */
  readonly nursery: Nursery;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Connects a server to the channel that carries all requests of the stateless era. */
  attachModern(transport: Transport): Promise<void>;
  /** Connects a server to the session that it is given. */
  attachLegacy(transport: Transport): Promise<void>;
  /** Looks up the input schema of a tool, for arguments that travel in headers too. Default: no tool has any. */
  readonly inputSchemaOf?: SchemaLookup | undefined;
  /** Tools whose plain calls are answered past `attachModern`'s server, which costs most of a call. Default: none. */
  readonly plainTool?: PlainToolLookup | undefined;
  /** Default {@link DEFAULT_MAX_SESSIONS}. */
  readonly maxSessions?: number | undefined;
  /** Serves connections that another process accepts. Default: none, it listens on `host` and `port` itself. */
  readonly handed?: HandedConnections | undefined;
}

/** A server that listens. */
export interface HttpServer {
  /** Where MCP is, e.g. `http://127.0.0.1:9000/mcp`. */
  readonly url: string;
  /**
   * Lets all connections end that are handed in, while another process takes their clients' next requests: each answer
   * says that its connection closes, and a connection without a request is kept until its client cannot use it any more.
   *
   * @param limitMs - how long running requests may take to end
   * @returns the sessions that the other process goes on with
   */
  drain(limitMs: number): Promise<readonly SessionRecord[]>;
  /** Takes no more requests, lets the running ones end for up to {@link HTTP_DRAIN_MS}, and ends the rest. Idempotent. */
  close(): Promise<void>;
}

/**
 * Listens for MCP over HTTP. Resolves when it does.
 *
 * @throws {@link ConfigError} if the host is not loopback, or the port cannot be had
 */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const {
    host,
    port,
    path = DEFAULT_MCP_PATH,
    clock,
    logger,
    maxSessions: max = DEFAULT_MAX_SESSIONS,
  } = options;
  requireLoopback(host);
  const channel = new HttpChannel(clock);
  const sessions = new Sessions({
    prefix: options.handed?.sessionPrefix ?? "",
    clock,
    logger,
    max,
    attach: (transport) => options.attachLegacy(transport),
  });
  const open = new OpenResponses();
  const siblings = new SiblingRequests();
  const endpoint = createEndpoint({
    path,
    host,
    corsOrigins: options.corsOrigins ?? [],
    channel,
    sessions,
    inputSchemaOf: options.inputSchemaOf ?? (() => undefined),
    plainTool: options.plainTool ?? (() => undefined),
    onStream: (response) => open.streams(response),
    passOn: async (sessionId, request, response, body) => {
      const socketPath = options.handed?.socketOf(sessionId);
      return socketPath !== undefined && siblings.pass(request, response, { body, socketPath });
    },
  });
  const server = createServer(serverLimits(options), handler(endpoint, open, options));
  if (options.handed) server.on("connection", (connection) => open.connected(connection));
  server.maxConnections = HTTP_LIMITS.maxConnections.value;
  server.maxHeadersCount = HTTP_LIMITS.maxHeaders.value;
  await options.attachModern(channel);
  try {
    await (options.handed
      ? takeHanded(server, options.handed, path, (error) =>
          logger.warn({ err: error }, "a session of the process before could not be taken over"),
        )
      : listenAt(server, host, port));
  } catch (error) {
    await channel.close();
    throw error;
  }
  const ends = [() => channel.close(), () => sessions.close(), async () => siblings.close()];
  let closing: Promise<void> | undefined;
  return {
    url: `${options.handed?.origin ?? originOf(server, host)}${path}`,
    drain: (limitMs) => drained(open, sessions, options, limitMs),
    close: () => (closing ??= closeServer(server, open, clock, ends)),
  };
}

/** Takes no more requests, lets the running ones end, and ends the rest. */
async function closeServer(
  server: Server,
  open: OpenResponses,
  clock: Clock,
  ends: readonly (() => Promise<void>)[],
): Promise<void> {
  const closed = once(server, "close");
  server.close();
  await open.drained(clock, HTTP_DRAIN_MS);
  await Promise.all(ends.map((end) => end()));
  server.closeAllConnections();
  await closed;
}

/** First clients go, then nobody connects from other processes any more, and at last those have gone. */
async function drained(
  open: OpenResponses,
  sessions: Sessions,
  { clock, handed }: HttpOptions,
  limitMs: number,
): Promise<readonly SessionRecord[]> {
  await open.clientsDrained(clock, limitMs);
  if (handed) await leaveSocket(handed);
  await open.siblingsDrained(clock, SIBLINGS_DRAIN_MS);
  return sessions.records();
}

/** Slow clients are answered 408 and cut off by node:http itself. */
function serverLimits({ handed }: HttpOptions): ServerOptions {
  const { requestMs, headersMs, keepAliveMs, handedKeepAliveMs, checkMs, maxHeaderBytes } = HTTP_LIMITS;
  return {
    requestTimeout: requestMs.value,
    headersTimeout: headersMs.value,
    keepAliveTimeout: (handed ? handedKeepAliveMs : keepAliveMs).value,
    connectionsCheckingInterval: checkMs.value,
    maxHeaderSize: maxHeaderBytes.value,
  };
}

type Handler = (request: ServerResponse["req"], response: ServerResponse) => void;

/** Lets requests into the nursery. A defect in answering one is logged, answered with 500, and stays its own. */
function handler(endpoint: Endpoint, open: OpenResponses, { nursery, logger }: HttpOptions): Handler {
  return (request, response) => {
    open.add(response);
    nursery
      .run((scope) => endpoint(request, response, scope), {}, "http request")
      .catch((error: unknown) => {
        logger.error({ err: error, method: request.method }, "an HTTP request could not be answered");
        sendJson(response, 500, { error: "internal error" });
        // Half an answer is completed by nobody.
        if (!response.writableEnded) response.destroy();
      });
  };
}
