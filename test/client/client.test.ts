/** The client against real servers: over processes and over HTTP, when they fail, vanish, come back or are slow. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import { NodeStreamableHTTPServerTransport } from "@modelcontextprotocol/node";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";
import { type Client, type ClientOptions, openClient, textOf } from "../../src/client/index.ts";
import { hasCode } from "../../src/errors.ts";
import { type NurseryHost, openHost } from "../../src/nursery/index.ts";
import { httpClientTransport } from "../../src/transport/http-client.ts";
import { settled } from "../support/clock.ts";
import { runs, toolsServer, until } from "../support/servers/index.ts";

let host: NurseryHost;
const servers: Server[] = [];
beforeEach(() => {
  host = openHost();
});
afterEach(async () => {
  await host.close();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  }
});

const is = (code: string) => (error: unknown) => {
  assert.ok(hasCode(error, code), String(error));
  return true;
};

/** A client of the tools server as a process. `lines` are what the server wrote to standard error. */
async function process_(
  flags: readonly string[] = [],
  more: Partial<ClientOptions> = {},
  lines: string[] = [],
): Promise<Client> {
  const openTransport = async () =>
    toolsServer(host.nursery, flags, { stderr: (line) => lines.push(line), graceMs: 200 });
  return openClient({ openTransport, target: "tools", random: () => 0, ...more });
}

async function serve(listener: RequestListener, port = 0): Promise<string> {
  const server = createServer(listener).listen(port, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  const address = server.address();
  assert.ok(address && typeof address === "object");
  return `http://127.0.0.1:${(address satisfies AddressInfo).port}/mcp`;
}

function http(url: string, more: Partial<ClientOptions> = {}): Promise<Client> {
  return openClient({
    openTransport: async () => httpClientTransport(url),
    target: url,
    random: () => 0,
    ...more,
  });
}

let calls = 0;
function build(): McpServer {
  const server = new McpServer({ name: "over-http", version: "1" });
  server.registerTool("add", { inputSchema: z.object({ a: z.number(), b: z.number() }) }, ({ a, b }) => {
    calls++;
    return { content: [], structuredContent: { sum: a + b } };
  });
  return server;
}

/** The SDK's own HTTP server. */
function modern(): RequestListener {
  const handler = createMcpHandler(build);
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = Buffer.concat(await request.toArray());
    const headers = Object.entries(request.headers).map(([name, value]): [string, string] => [
      name,
      String(value),
    ]);
    const init = { method: request.method ?? "GET", headers, ...(body.length > 0 ? { body } : {}) };
    const answered = await handler.fetch(new Request(`http://127.0.0.1${request.url}`, init));
    response
      .writeHead(answered.status, Object.fromEntries(answered.headers))
      .end(Buffer.from(await answered.arrayBuffer()));
  };
  return (request, response) => void answer(request, response);
}

/** Sessions of the old era; `sessions.clear()` forgets them, as a restart does. */
function sessionServer(): {
  readonly sessions: Map<string, NodeStreamableHTTPServerTransport>;
  readonly listener: RequestListener;
} {
  const sessions = new Map<string, NodeStreamableHTTPServerTransport>();
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<unknown> => {
    const id = request.headers["mcp-session-id"];
    const known = typeof id === "string" ? sessions.get(id) : undefined;
    if (known) return known.handleRequest(request, response);
    if (id !== undefined) return response.writeHead(404).end("{}");
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (sessionId) => void sessions.set(sessionId, transport),
    });
    await build().connect(transport);
    return transport.handleRequest(request, response);
  };
  return { sessions, listener: (request, response) => void answer(request, response) };
}

describe("a client", () => {
  it("gives results, and the tool's own failure with its text or code", async () => {
    await using client = await process_();
    assert.deepEqual(await client.call("echo", { value: 3 }), { value: 3 });
    assert.equal((await client.callTool("fail")).isError, true);
    await assert.rejects(
      client.call("fail"),
      (error: unknown) => is("E_TOOL_FAILED")(error) && /the disk is on fire/.test(String(error)),
    );
    await assert.rejects(client.call("refuse"), is("E_TASK_NOT_FOUND"));
    await assert.rejects(client.call("nothing"), is("E_TOOL_NOT_FOUND"));
    assert.equal(client.serverInfo?.name, "tools");
  });

  it("tells the server when a call is given up", async () => {
    const lines: string[] = [];
    await using client = await process_([], {}, lines);
    const abort = new AbortController();
    const call = client.callTool("hang", {}, { signal: abort.signal });
    call.catch(() => undefined);
    await until(() => lines.includes("hanging"));
    abort.abort();
    await assert.rejects(call, is("E_CANCELLED"));
    await until(() => lines.includes("cancelled"));
  });

  it("ends a call at its deadline, and tells the server", async () => {
    const lines: string[] = [];
    await using client = await process_([], {}, lines);
    await assert.rejects(client.callTool("hang", {}, { timeoutMs: 100 }), is("E_TIMEOUT"));
    await until(() => lines.includes("cancelled"));
  });

  it("passes progress on", async () => {
    await using client = await process_();
    const seen: unknown[] = [];
    await client.callTool("count", { to: 3 }, { onProgress: (done, total) => seen.push([done, total]) });
    assert.deepEqual(seen, [
      [1, 3],
      [2, 3],
      [3, 3],
    ]);
  });

  it("does not repeat a call that may have happened, and connects again for the next", async () => {
    await using client = await process_();
    const first = textOf(await client.callTool("pid"));
    await assert.rejects(client.callTool("die"), is("E_CONNECTION_LOST"));
    assert.notEqual(textOf(await client.callTool("pid")), first);
  });

  it("repeats what the tool calls idempotent, so often and no more", async () => {
    let opened = 0;
    const openTransport: ClientOptions["openTransport"] = async () => {
      opened++;
      return toolsServer(host.nursery);
    };
    await using client = await process_([], { openTransport, retries: 2 });
    await assert.rejects(client.callTool("die-idempotent"), is("E_CONNECTION_LOST"));
    assert.equal(opened, 3);
  });

  it("says that nobody is there", async () => {
    const url = await serve(() => undefined);
    servers[0]?.close();
    await assert.rejects(http(url), is("E_UNREACHABLE"));
  });

  it("can be closed twice, which ends its calls and its server", async () => {
    const client = await process_();
    const pid = Number(textOf(await client.callTool("pid")));
    const call = client.callTool("hang");
    call.catch(() => undefined);
    await Promise.all([client.close(), client.close()]);
    await assert.rejects(call, is("E_CANCELLED"));
    await assert.rejects(client.callTool("pid"), is("E_CANCELLED"));
    await until(() => !runs(pid));
    assert.equal(client.closed, true);
  });
});

describe("a client over HTTP", () => {
  it("speaks the new protocol and the old", async () => {
    const url = await serve(modern());
    const old = await serve(sessionServer().listener);
    await using first = await http(url);
    await using second = await http(old);
    assert.deepEqual([first.protocolVersion, second.protocolVersion], ["2026-07-28", "2025-11-25"]);
    assert.deepEqual(await first.call("add", { a: 1, b: 2 }), { sum: 3 });
    assert.deepEqual(await second.call("add", { a: 1, b: 2 }), { sum: 3 });
  });

  it("begins a new session when the server has lost the old one", async () => {
    const { sessions, listener } = sessionServer();
    await using client = await http(await serve(listener));
    await client.call("add", { a: 1, b: 1 });
    sessions.clear();
    calls = 0;
    assert.deepEqual(await client.call("add", { a: 1, b: 2 }), { sum: 3 });
    assert.deepEqual([calls, sessions.size], [1, 1]);
  });

  it("ends its session when it is closed", async () => {
    const ended: string[] = [];
    const { listener } = sessionServer();
    const url = await serve((request, response) => {
      if (request.method === "DELETE") ended.push(String(request.headers["mcp-session-id"]));
      listener(request, response);
    });
    const client = await http(url);
    await client.close();
    assert.equal(ended.length, 1);
  });

  it("uses a connection again", async () => {
    const handler = modern();
    const ports = new Set<number | undefined>();
    const url = await serve((request, response) => {
      ports.add(request.socket.remotePort);
      handler(request, response);
    });
    await using client = await http(url);
    for (let i = 0; i < 5; i++) await client.call("add", { a: i, b: i });
    assert.equal(ports.size, 1);
  });

  it("waits as long as a busy server asks, and then sends the call", async () => {
    const handler = modern();
    let refused = 0;
    let busy = false;
    const url = await serve((request, response) => {
      if (busy) {
        busy = false;
        refused = performance.now();
        response.writeHead(429, { "retry-after": "1" }).end();
      } else handler(request, response);
    });
    await using client = await http(url);
    busy = true;
    assert.deepEqual(await client.call("add", { a: 1, b: 2 }), { sum: 3 });
    assert.ok(performance.now() - refused >= 990);
    busy = true;
    await assert.rejects(client.call("add", { a: 1, b: 2 }, { timeoutMs: 500 }), is("E_BUSY"));
  });

  it("fails at once, not at its deadline, when an answer breaks off", async () => {
    const handler = modern();
    let mode: "whole" | "reset" | "stream" = "whole";
    const url = await serve((request, response) => {
      if (mode === "whole") return handler(request, response);
      if (mode === "reset") return void request.socket.destroy();
      response
        .writeHead(200, { "content-type": "text/event-stream" })
        .write(": hello\n\n", () => response.destroy());
    });
    await using client = await http(url);
    for (const broken of ["reset", "stream"] as const) {
      mode = broken;
      const asked = client.call("add", { a: 1, b: 2 }, { idempotent: false });
      await assert.rejects(asked, is("E_CONNECTION_LOST"), broken);
      mode = "whole";
      assert.deepEqual(await client.call("add", { a: 1, b: 2 }), { sum: 3 });
    }
  });

  it("finds the server again after it was restarted", async () => {
    const handler = modern();
    const url = await serve((request, response) => handler(request, response));
    await using client = await http(url, { retries: 0 });
    await client.call("add", { a: 1, b: 2 });
    const [server] = servers.splice(0);
    server?.closeAllConnections();
    await new Promise((resolve) => server?.close(resolve));
    // Until the client has seen that its kept connection was closed, nobody knows what becomes of a request on it.
    await settled();
    await assert.rejects(client.call("add", { a: 1, b: 2 }), is("E_UNREACHABLE"));
    await serve((request, response) => handler(request, response), Number(new URL(url).port));
    assert.deepEqual(await client.call("add", { a: 1, b: 2 }), { sum: 3 });
  });

  it("names the missing permission", async () => {
    const url = await serve((_request, response) => void response.writeHead(401).end());
    await assert.rejects(http(url), is("E_DENIED"));
  });
});
