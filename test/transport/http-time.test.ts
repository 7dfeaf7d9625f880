/** What the HTTP endpoint does as time passes, and while it closes. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { OWNER } from "../../src/authority/caller.ts";
import { silentLogger } from "../../src/logger.ts";
import { HTTP_DRAIN_MS, type HttpServer, startHttp } from "../../src/transport/index.ts";
import { KEEP_ALIVE_MS, SESSION_IDLE_MS } from "../../src/transport/http.ts";
import { settled, TestClock } from "../support/clock.ts";
import { openSmallNode, type SmallNode } from "../server/support.ts";
import { aborted, echo, type Endless, endless } from "../server/tools.ts";

const VERSION = "2026-07-28";
const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
};
const ACCEPT = { "content-type": "application/json", accept: "application/json, text/event-stream" };

async function readChunk(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  const { value } = (await reader?.read()) ?? {};
  reader?.releaseLock();
  return new TextDecoder().decode(value);
}

describe("HTTP endpoint over time", () => {
  let clock: TestClock;
  let node: SmallNode;
  let http: HttpServer;
  let forever: Endless;

  beforeEach(async () => {
    clock = new TestClock();
    forever = endless(24 * 3_600_000);
    node = await openSmallNode({ tools: [echo, forever.tool] });
    http = await startHttp({
      host: "127.0.0.1",
      port: 0,
      nursery: node.nursery,
      clock,
      logger: silentLogger,
      attachModern: (transport) => node.server.serveModern(transport, OWNER),
      attachLegacy: (transport) => node.server.serveLegacySession(transport, OWNER),
    });
  });
  afterEach(async () => {
    await node.server.close();
    const closing = http.close();
    await clock.autojump(closing);
    await node[Symbol.asyncDispose]();
  });

  const modern = (method: string, params: object, name?: string): Promise<Response> =>
    fetch(http.url, {
      method: "POST",
      headers: {
        ...ACCEPT,
        "mcp-protocol-version": VERSION,
        "mcp-method": method,
        ...(name && { "mcp-name": name }),
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { _meta: META, ...params } }),
    });
  const legacy = (body: object, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
    fetch(http.url, {
      method: "POST",
      headers: { ...ACCEPT, ...headers },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, ...body }),
    });

  it("shows a long call's client that it is alive", async () => {
    const call = modern("tools/call", { name: "endless", arguments: {} }, "endless");
    const signal = await forever.begun();
    clock.jump(KEEP_ALIVE_MS);
    const response = await call;
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    assert.match(await readChunk(response), /^: /);
    await response.body?.cancel();
    await aborted(signal);
  });

  it("sets no timer while nobody waits", async () => {
    assert.equal(clock.pending, 0);
    await (await modern("tools/list", {})).text();
    clock.jump(KEEP_ALIVE_MS);
    assert.equal(clock.pending, 0);
  });

  it("tells a subscriber that tools may change, under the id of its own request", async () => {
    const response = await modern("subscriptions/listen", { notifications: { toolsListChanged: true } });
    const event = await readChunk(response);
    assert.match(event, /notifications\/subscriptions\/acknowledged/);
    assert.match(event, /"io.modelcontextprotocol\/subscriptionId":1\b/);
    await response.body?.cancel();
  });

  it("ends a session that was idle for too long", async () => {
    const params = {
      protocolVersion: "2025-06-18",
      capabilities: {},
      clientInfo: { name: "t", version: "1" },
    };
    const opened = await legacy({ method: "initialize", params });
    await opened.text();
    const session = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" };
    const list = async (): Promise<number> => {
      const response = await legacy({ method: "tools/list" }, session);
      await response.text();
      return response.status;
    };
    clock.jump(SESSION_IDLE_MS - 1);
    assert.equal(await list(), 200);
    await settled();
    clock.jump(SESSION_IDLE_MS + 60_000);
    assert.equal(await list(), 404);
  });

  it("lets running requests end before it closes, but not for ever", async () => {
    const call = modern("tools/call", { name: "endless", arguments: {} }, "endless");
    const signal = await forever.begun();
    const closing = http.close();
    await settled();
    clock.jump(HTTP_DRAIN_MS - 1);
    await settled();
    assert.equal(signal.aborted, false);
    clock.jump(1);
    assert.equal((await call).status, 503);
    await closing;
    await assert.rejects(modern("tools/list", {}));
  });
});
