/** The server's side of MCP over Streamable HTTP, on loopback: both eras on one URL. */
import { once } from "node:events";
import { createServer, type Server, type ServerOptions, type ServerResponse } from "node:http";
import { isIPv4 } from "node:net";
import type { Transport } from "@modelcontextprotocol/server";
import type { Clock } from "../clock.ts";
import { ConfigError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Nursery } from "../nursery/index.ts";
import { sendJson } from "./http/answer.ts";
import { HttpChannel } from "./http/channel.ts";
import { createEndpoint, type Endpoint } from "./http/endpoint.ts";
import type { SchemaLookup } from "./http/headers.ts";
import { HTTP_LIMITS } from "./http/limits.ts";
import type { PlainToolLookup } from "./http/plain-call.ts";
import { DEFAULT_MAX_SESSIONS, Sessions } from "./http/sessions.ts";

export { KEEP_ALIVE_MS } from "./http/channel.ts";
export { MAX_HTTP_BODY_BYTES } from "./http/body.ts";
export { DEFAULT_MAX_SESSIONS, SESSION_IDLE_MS } from "./http/sessions.ts";

/** Where MCP is mounted if the caller names nothing. */
export const DEFAULT_MCP_PATH = "/mcp";
/** How long running requests may take to end when the server closes. */
export const HTTP_DRAIN_MS = 5000;

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
}

/** A server that listens. */
export interface HttpServer {
  /** Where MCP is, e.g. `http://127.0.0.1:9000/mcp`. */
  readonly url: string;
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
    clock,
    logger,
    max,
    attach: (transport) => options.attachLegacy(transport),
  });
  const open = new OpenResponses();
  const endpoint = createEndpoint({
    path,
    host,
    corsOrigins: options.corsOrigins ?? [],
    channel,
    sessions,
    inputSchemaOf: options.inputSchemaOf ?? (() => undefined),
    plainTool: options.plainTool ?? (() => undefined),
    onStream: (response) => open.delete(response),
  });
  const server = createServer(serverLimits(), handler(endpoint, open, options));
  server.maxConnections = HTTP_LIMITS.maxConnections.value;
  server.maxHeadersCount = HTTP_LIMITS.maxHeaders.value;
  await options.attachModern(channel);
  try {
    await listen(server, host, port);
  } catch (error) {
    await channel.close();
    throw error;
  }
  const close = async (): Promise<void> => {
    const closed = once(server, "close");
    server.close();
    await open.drained(clock);
    await Promise.all([channel.close(), sessions.close()]);
    server.closeAllConnections();
    await closed;
  };
  let closing: Promise<void> | undefined;
  return { url: urlOf(server, host, path), close: () => (closing ??= close()) };
}

/** Slow clients are answered 408 and cut off by node:http itself. */
function serverLimits(): ServerOptions {
  const { requestMs, headersMs, keepAliveMs, checkMs, maxHeaderBytes } = HTTP_LIMITS;
  return {
    requestTimeout: requestMs.value,
    headersTimeout: headersMs.value,
    keepAliveTimeout: keepAliveMs.value,
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

/** Responses that have not ended, but for streams that stay open by nature. */
class OpenResponses {
  readonly #responses = new Set<ServerResponse>();
  #onEmpty: (() => void) | undefined;

  add(response: ServerResponse): void {
    this.#responses.add(response);
    response.once("close", () => this.delete(response));
  }

  delete(response: ServerResponse): void {
    this.#responses.delete(response);
    if (this.#responses.size === 0) this.#onEmpty?.();
  }

  /** Resolves when all have ended or {@link HTTP_DRAIN_MS} are over. */
  drained(clock: Clock): Promise<void> {
    if (this.#responses.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const stop = clock.schedule(resolve, HTTP_DRAIN_MS);
      this.#onEmpty = () => {
        stop();
        resolve();
      };
    });
  }
}

/** There is no authentication on this wire: whoever reaches it is the owner. So nobody else may reach it. */
function requireLoopback(host: string): void {
  const loopback = host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
  if (loopback) return;
  throw new ConfigError(`HTTP host '${host}'`, undefined, "must be localhost, ::1 or in 127.0.0.0/8", {
    hint: "callers over HTTP are not authenticated; reach this node from other machines over libp2p",
  });
}

/**
 * Finds out whether a port can be had, before a node opens all that has to be closed again if it cannot.
 *
 * @throws {@link ConfigError} if it cannot
 */
export async function requirePort(host: string, port: number): Promise<void> {
  requireLoopback(host);
  if (port === 0) return;
  const server = createServer();
  await listen(server, host, port);
  const closed = once(server, "close");
  server.close();
  await closed;
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    const listening = once(server, "listening");
    server.listen({ host, port, exclusive: true });
    await listening;
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    const hint = "stop the other process, or choose another port; port 0 takes any free one";
    if (code === "EADDRINUSE") {
      throw new ConfigError(`HTTP port ${port}`, undefined, `is already in use on ${host}`, {
        cause,
        hint,
      });
    }
    throw new ConfigError(`HTTP address ${host}:${port}`, undefined, `cannot be used: ${String(code)}`, {
      cause,
    });
  }
}

function urlOf(server: Server, host: string, path: string): string {
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}${path}`;
}
