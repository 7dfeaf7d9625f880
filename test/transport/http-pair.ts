/** Two HTTP endpoints with the same tools, one of which answers plain calls past the SDK. */
import { type Caller, OWNER } from "../../src/authority/caller.ts";
import { type Clock, systemClock } from "../../src/clock.ts";
import type { JsonObject } from "../../src/content/json.ts";
import { silentLogger } from "../../src/logger.ts";
import type { Tool } from "../../src/tools/index.ts";
import { type HttpServer, startHttp } from "../../src/transport/index.ts";
import { openSmallNode, type SmallNode } from "../server/support.ts";
import { type Answer, type Raw, raw } from "./http-support.ts";

/** One of the two. */
export interface Endpoint {
  readonly node: SmallNode;
  readonly http: HttpServer;
  /** How many calls were answered past the SDK. */
  fastCalls(): number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What a test may change about an endpoint. */
export interface EndpointSetup {
  readonly tools: readonly Tool[];
  readonly caller?: Caller;
  readonly clock?: Clock;
  /** Changes the input schema that hosts see. */
  readonly schemaOf?: (name: string, schema: JsonObject | undefined) => JsonObject | undefined;
}

/** Opens an endpoint, with the fast path or without. */
export async function openEndpoint(setup: EndpointSetup, fast: boolean): Promise<Endpoint> {
  const { tools, caller = OWNER, clock = systemClock, schemaOf = (_name, schema) => schema } = setup;
  const node = await openSmallNode({ tools, clock });
  const { server, nursery } = node;
  let calls = 0;
  const http = await startHttp({
    host: "127.0.0.1",
    port: 0,
    nursery,
    clock,
    logger: silentLogger,
    attachModern: (transport) => server.serveModern(transport, caller),
    attachLegacy: (transport) => server.serveLegacySession(transport, caller),
    inputSchemaOf: (name) => schemaOf(name, server.inputSchemaOf(name)),
    ...(fast && {
      plainTool: (name: string) => {
        const tool = server.plainTool(name, caller);
        return tool && ((args, scope) => (calls++, tool(args, scope)));
      },
    }),
  });
  return {
    node,
    http,
    fastCalls: () => calls,
    async [Symbol.asyncDispose]() {
      await server.close();
      await http.close();
      await node[Symbol.asyncDispose]();
    },
  };
}

/** What a client can see of an answer, but for the date and the names of sessions. */
export interface Seen {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

function seen({ status, headers, text }: Answer): Seen {
  const { date: _, "mcp-session-id": session, ...rest } = headers;
  return { status, headers: { ...rest, session: session !== undefined }, text };
}

/** The answers of both to the same request. Sent twice, because an endpoint learns from the first. */
export async function ask(endpoint: Endpoint, request: Raw): Promise<readonly Seen[]> {
  const first = seen(await raw(endpoint.http.url, request));
  return [first, seen(await raw(endpoint.http.url, request))];
}
