/** The tools as the client of SDK v1 sees them: it compiles every output schema and holds each answer against it. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { OWNER } from "../../src/authority/caller.ts";
import { systemClock } from "../../src/clock.ts";
import { isJsonObject } from "../../src/content/json.ts";
import { silentLogger } from "../../src/logger.ts";
import { allTools } from "../../src/tools/index.ts";
import { startHttp } from "../../src/transport/index.ts";
import { openSmallNode } from "../server/support.ts";

/** The v1 SDK declares its own transports in a way that its own interface refuses under exact optional properties. */
function isTransport(transport: object): transport is Transport {
  return "send" in transport;
}

it("lists every tool to the client of SDK v1, and answers what the listed schemas promise", async () => {
  await using node = await openSmallNode();
  const { server, nursery } = node;
  const http = await startHttp({
    host: "127.0.0.1",
    port: 0,
    nursery,
    clock: systemClock,
    logger: silentLogger,
    attachModern: (transport) => server.serveModern(transport, OWNER),
    attachLegacy: (transport) => server.serveLegacySession(transport, OWNER),
  });
  const client = new Client({ name: "t", version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL(http.url));
  assert.ok(isTransport(transport));
  await client.connect(transport);
  assert.equal((await client.listTools()).tools.length, allTools.length);

  const ask = async (name: string, args: Record<string, unknown>): Promise<Record<string, unknown>> => {
    const { structuredContent, isError } = await client.callTool({ name, arguments: args });
    assert.ok(isJsonObject(structuredContent) && isError !== true, name);
    return { ...structuredContent };
  };
  const { task_id } = await ask("p2p_taskqueue_submit", {
    task_type: "echo",
    model_name: "",
    payload: { a: 1 },
  });
  for (const [name, args] of [
    ["p2p_taskqueue_get_task", { task_id }],
    ["p2p_taskqueue_list_tasks", {}],
    ["p2p_taskqueue_wait_task", { task_id, timeout_s: 0 }],
    ["p2p_taskqueue_claim_next", { worker_id: "w" }],
    ["p2p_taskqueue_list_tasks", { bodies: false }],
    ["p2p_taskqueue_status", {}],
  ] as const) {
    assert.equal((await ask(name, args))["ok"], true, name);
  }
  await client.close();
  await server.close();
  await http.close();
});
