/** What the HTTP endpoint does with a request: guards first, then the era decides who answers. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { hostHeaderValidation, originValidation } from "@modelcontextprotocol/node";
import {
  classifyInboundRequest,
  isInitializeRequest,
  isJsonContentType,
  localhostAllowedHostnames,
  localhostAllowedOrigins,
} from "@modelcontextprotocol/server";
import { BusyError, ConnectionLostError, InvalidInputError, MessageTooLargeError } from "../../errors.ts";
import type { CancelScope } from "../../nursery/index.ts";
import {
  HTTP_ERROR_CODE,
  HEADER_MISMATCH_CODE,
  idOf,
  PARSE_ERROR_CODE,
  sendJson,
  sendRpcError,
  UNSUPPORTED_VERSION_CODE,
} from "./answer.ts";
import { readJson } from "./body.ts";
import type { HttpChannel } from "./channel.ts";
import { createCors } from "./cors.ts";
import { headerFault, type SchemaLookup } from "./headers.ts";
import { takenOver } from "./handed.ts";
import { plainCallIn, PlainCalls, type PlainToolLookup } from "./plain-call.ts";
import type { Sessions } from "./sessions.ts";

/** The revisions of the stateless era that are served. */
const MODERN_REVISIONS: readonly string[] = ["2026-07-28"];
/** When to come back, in seconds, if all sessions are taken. */
const RETRY_AFTER_S = 5;

/** What {@link createEndpoint} needs. */
export interface EndpointOptions {
  /** Where the endpoint is mounted, e.g. `/mcp`. */
  readonly path: string;
  /** The host that the server is bound to, which the Host header may name too. */
  readonly host: string;
  /** Origins of web pages that may use the endpoint besides loopback's. */
  readonly corsOrigins: readonly string[];
  readonly channel: HttpChannel;
  readonly sessions: Sessions;
  readonly inputSchemaOf: SchemaLookup;
  readonly plainTool: PlainToolLookup;
  /** Told of a response that may stay open as long as its client likes. */
  readonly onStream: (response: ServerResponse) => void;
  /** Lets another process answer a request of a session that it has. @returns false if there is none that has it */
  readonly passOn: (
    sessionId: string,
    request: IncomingMessage,
    response: ServerResponse,
    body: unknown,
  ) => Promise<boolean>;
}

/** Answers one request, in whose scope it runs. Rejects only on a defect. */
export type Endpoint = (
  request: IncomingMessage,
  response: ServerResponse,
  scope: CancelScope,
) => Promise<void>;

/** What answers one request of MCP. */
interface Desk extends EndpointOptions {
  readonly plainCalls: PlainCalls;
  /** What the request runs in. */
  readonly scope: CancelScope;
}

/** Makes the handler of all requests of a server. */
export function createEndpoint(options: EndpointOptions): Endpoint {
  // A web page can make a browser call loopback addresses under a name of its own (DNS rebinding), so names are
  // checked before anything of the request is read.
  const bound = options.host.includes(":") ? `[${options.host}]` : options.host;
  const hostAllowed = hostHeaderValidation([...localhostAllowedHostnames(), bound]);
  const originAllowed = originValidation([...localhostAllowedOrigins(), bound]);
  const cors = createCors(options.corsOrigins);
  const plainCalls = new PlainCalls(options.plainTool, options.inputSchemaOf);
  // Parsing it as a URL costs more than all other checks together, and clients say the same each time.
  let lastAllowed: string | undefined;

  return async (request, response, scope) => {
    const { host, origin } = request.headers;
    if ((host === undefined || host !== lastAllowed) && !hostAllowed(request, response)) return;
    lastAllowed = host;
    const listed = cors.admit(request, response);
    if (origin !== undefined && !listed && !originAllowed(request, response)) return;
    if (listed && cors.answerPreflight(request, response)) return;
    const url = request.url ?? "/";
    const path = url.includes("?") ? url.slice(0, url.indexOf("?")) : url;
    if (path === options.path) await answerMcp({ ...options, plainCalls, scope }, request, response);
    else if (path === "/health") answerHealth(request, response);
    else sendJson(response, 404, { error: `nothing at ${path}`, hint: `MCP is at ${options.path}` });
  };
}

function answerHealth({ method }: IncomingMessage, response: ServerResponse): void {
  if (method === "GET" || method === "HEAD") sendJson(response, 200, { status: "ok" });
  else sendJson(response, 405, { error: "only GET" }, { allow: "GET, HEAD" });
}

async function answerMcp(options: Desk, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === "GET") options.onStream(response);
  if (request.method === "GET" || request.method === "DELETE") {
    await answerSession(options, request, response, undefined);
  } else if (request.method !== "POST") {
    refuse(response, 405, "only POST, GET and DELETE", { allow: "POST, GET, DELETE" });
  } else if (!isJsonContentType(request.headers["content-type"] ?? "")) {
    refuse(response, 415, "the content type must be application/json");
  } else {
    await answerPost(options, request, response);
  }
}

async function answerPost(options: Desk, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const body = await readJson(request);
    await route(options, request, response, body);
  } catch (error) {
    if (error instanceof MessageTooLargeError) {
      // The rest of the body is not worth reading, so the connection ends with the answer.
      refuse(response, 413, error.message, { connection: "close" });
    } else if (error instanceof InvalidInputError) {
      sendRpcError(response, 400, { code: PARSE_ERROR_CODE, message: "Parse error" });
    } else if (error instanceof BusyError) {
      refuse(response, 503, error.message, { "retry-after": RETRY_AFTER_S });
    } else if (!(error instanceof ConnectionLostError)) {
      // A client that went away hears no answer.
      throw error;
    }
  }
}

async function route(
  options: Desk,
  request: IncomingMessage,
  response: ServerResponse,
  body: unknown,
): Promise<void> {
  const { headers } = request;
  const { plainCalls, channel, scope } = options;
  const plain = plainCallIn(headers, body);
  const tool = plain && plainCalls.toolFor(plain);
  if (plain && tool) {
    await channel.answer(plain.id, response, scope, () => tool(plain.args, scope));
    return;
  }
  const outcome = classifyInboundRequest({ httpMethod: "POST", body, ...standardHeaders(headers) });
  if (outcome.kind === "reject") {
    const { code, message, data } = outcome;
    sendRpcError(
      response,
      outcome.httpStatus,
      { code, message, ...(data !== undefined && { data }) },
      idOf(body),
    );
    return;
  }
  if (outcome.kind === "legacy") {
    await answerSession(options, request, response, body);
    return;
  }
  const requested = outcome.classification.revision;
  if (requested === undefined || !MODERN_REVISIONS.includes(requested)) {
    const data = { supported: MODERN_REVISIONS, requested };
    const error = { code: UNSUPPORTED_VERSION_CODE, message: "Unsupported protocol version", data };
    sendRpcError(response, 400, error, idOf(body));
    return;
  }
  if (outcome.messageKind === "notification") {
    // The stateless era has none that a server must act on: a cancellation is the end of the connection.
    response.writeHead(202).end();
    return;
  }
  const fault = headerFault(headers, outcome.message, options.inputSchemaOf);
  if (fault !== undefined) {
    sendRpcError(response, 400, { code: HEADER_MISMATCH_CODE, message: fault }, outcome.message.id);
    return;
  }
  if (plain) plainCalls.accepted(plain);
  if (outcome.message.method === "subscriptions/listen") options.onStream(response);
  channel.submit(outcome.message, response);
}

/** Requests of the initialize era, and whatever names a session. */
async function answerSession(
  { sessions, passOn }: EndpointOptions,
  request: IncomingMessage,
  response: ServerResponse,
  body: unknown,
): Promise<void> {
  const id = headerText(request.headers["mcp-session-id"]);
  if (id !== undefined && sessions.has(id)) await sessions.handle(id, request, response, body);
  else if (id !== undefined) {
    if (!(await passOn(id, request, response, body)))
      sendRpcError(response, 404, { code: -32_001, message: "Session not found" }, idOf(body));
  } else if (isInitializeRequest(body)) await sessions.open(request, response, body, takenOver(request));
  else if (request.method === "POST")
    refuse(response, 400, "the Mcp-Session-Id header is missing: send initialize first");
  else refuse(response, 405, "there is no session: send initialize by POST first", { allow: "POST" });
}

function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  headers: Record<string, string | number> = {},
): void {
  sendRpcError(response, status, { code: HTTP_ERROR_CODE, message }, null, headers);
}

function standardHeaders(headers: IncomingMessage["headers"]): {
  protocolVersionHeader?: string;
  mcpMethodHeader?: string;
  mcpNameHeader?: string;
} {
  const version = headerText(headers["mcp-protocol-version"]);
  const method = headerText(headers["mcp-method"]);
  const name = headerText(headers["mcp-name"]);
  return {
    ...(version !== undefined && { protocolVersionHeader: version }),
    ...(method !== undefined && { mcpMethodHeader: method }),
    ...(name !== undefined && { mcpNameHeader: name }),
  };
}

function headerText(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" ? header : header?.[0];
}
