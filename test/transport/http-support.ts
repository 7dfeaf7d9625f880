/** Raw requests to the HTTP endpoint, exactly as a test writes them. */
import { request as httpRequest, type IncomingMessage } from "node:http";

/** The revision of the stateless era. */
export const VERSION = "2026-07-28";
/** What each of its requests carries. */
export const META: object = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
};

/** What came back. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

/** A request as it is to be sent. */
export interface Raw {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends exactly what it is told to, with any Host header, which fetch would not. */
export function raw(url: string, { method = "POST", path, headers = {}, body }: Raw = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(path ? new URL(path, url) : url, { method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(chunks).toString(),
        });
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** What every client of either era sends. */
export const JSON_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
};

/** A request of the stateless era with its headers in order. */
export function modern(
  method: string,
  params: object = {},
  headers: Readonly<Record<string, string>> = {},
): Raw {
  const name = "name" in params && typeof params.name === "string" ? { "mcp-name": params.name } : {};
  return {
    headers: { ...JSON_HEADERS, "mcp-protocol-version": VERSION, "mcp-method": method, ...name, ...headers },
    body: JSON.stringify({ jsonrpc: "2.0", id: 7, method, params: { _meta: META, ...params } }),
  };
}

/** The first request of the initialize era. */
export const INITIALIZE: Raw = {
  headers: JSON_HEADERS,
  body: JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "t", version: "1" } },
  }),
};

/** The session that an answer opened. */
export function sessionOf({ headers }: Answer): string {
  return String(headers["mcp-session-id"]);
}

/** Lists the tools in a session. */
export function listIn(session: string): Raw {
  return {
    headers: { ...JSON_HEADERS, "mcp-session-id": session },
    body: JSON.stringify({ jsonrpc: "2.0", id: 2, method: "tools/list" }),
  };
}
