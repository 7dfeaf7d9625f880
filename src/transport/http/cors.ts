/**
 * Cross-origin requests of web pages (the Fetch standard's CORS protocol), for listed origins only.
 *
 * Neither a wildcard nor credentials: a page that is not on the list can neither read an answer nor send a request that
 * needs a preflight, and cookies play no part.
 */
import type { IncomingMessage, ServerResponse } from "node:http";

const METHODS = "GET, POST, DELETE";
/** What MCP sends; `mcp-param-*` headers are named by the request, so these are the rest. */
const HEADERS = [
  "accept",
  "authorization",
  "content-type",
  "last-event-id",
  "mcp-method",
  "mcp-name",
  "mcp-protocol-version",
  "mcp-session-id",
];
/** Headers of answers that a page has to read. */
const EXPOSED = "mcp-protocol-version, mcp-session-id, retry-after";
/** How long a browser may remember a preflight; two hours is the most that browsers take. */
const MAX_AGE_S = 7200;

/** Decides about origins. */
export interface Cors {
  /** Whether the request comes from a page of a listed origin; if so, the answer's headers will say so. */
  admit(request: IncomingMessage, response: ServerResponse): boolean;
  /** Answers the question that a browser asks beforehand. @returns false if the request is no such question */
  answerPreflight(request: IncomingMessage, response: ServerResponse): boolean;
}

/** @param origins - exactly as browsers write them in the Origin header, e.g. `https://app.example` */
export function createCors(origins: readonly string[]): Cors {
  const listed: ReadonlySet<string> = new Set(origins);
  return {
    admit({ headers: { origin } }, response) {
      if (listed.size === 0) return false;
      response.setHeader("vary", "origin");
      if (origin === undefined || !listed.has(origin)) return false;
      response.setHeader("access-control-allow-origin", origin);
      response.setHeader("access-control-expose-headers", EXPOSED);
      return true;
    },
    answerPreflight({ method, headers }, response) {
      if (method !== "OPTIONS" || headers["access-control-request-method"] === undefined) return false;
      response.writeHead(204, {
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": allowedHeaders(headers["access-control-request-headers"]),
        "access-control-max-age": String(MAX_AGE_S),
      });
      response.end();
      return true;
    },
  };
}

/** The usual headers and those that carry arguments. */
function allowedHeaders(asked = ""): string {
  const params = asked
    .toLowerCase()
    .split(",")
    .map((name) => name.trim())
    .filter((name) => /^mcp-param-[\w-]+$/.test(name));
  return [...HEADERS, ...params].join(", ");
}
