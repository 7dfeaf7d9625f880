/** Clients of others, as their users run them, against a real node. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import * as z from "zod";
import {
  cleanEnvironment,
  type NodeProcess,
  spawnMcpp,
  startNode,
  temporaryFolder,
} from "../support/node-process.ts";

const INSPECTOR = resolve(import.meta.dirname, "../../node_modules/.bin/mcp-inspector");
const run = promisify(execFile);

/** The names that the system this one grew out of gave its task-queue tools. */
const SEED_TOOLS = [
  "p2p_taskqueue_status",
  "p2p_taskqueue_submit",
  "p2p_taskqueue_claim_next",
  "p2p_taskqueue_call_tool",
  "p2p_taskqueue_list_tasks",
  "p2p_taskqueue_get_task",
  "p2p_taskqueue_wait_task",
  "p2p_taskqueue_complete_task",
  "p2p_taskqueue_heartbeat",
  "p2p_taskqueue_cache_get",
  "p2p_taskqueue_cache_set",
  "p2p_taskqueue_submit_docker_hub",
  "p2p_taskqueue_submit_docker_github",
  "list_peers",
];

const submitted = z.object({ ok: z.literal(true), task_id: z.string() });
const row = z.object({ task: z.object({ task_id: z.string(), status: z.string(), result: z.unknown() }) });
/** The SDK's own class does not fit its own interface under exactOptionalPropertyTypes. */
const v1Transport = z.custom<Transport>((value) => value instanceof StreamableHTTPClientTransport);
const callResult = z.object({ structuredContent: z.unknown() });

describe("other people's clients", () => {
  const folder = temporaryFolder();
  let node: NodeProcess;
  before(async () => {
    node = await startNode(folder.path, ["--no-p2p"]);
  });
  after(async () => {
    await node.stop();
    folder[Symbol.dispose]();
  });

  const inspect = async (...args: string[]): Promise<unknown> => {
    const env = cleanEnvironment(folder.path);
    const { stdout } = await run(process.execPath, [INSPECTOR, "--cli", node.mcp, ...args], { env });
    return JSON.parse(stdout);
  };
  const inspectTool = async (name: string, args: object): Promise<unknown> => {
    const json = ["--tool-args-json", JSON.stringify(args)];
    return callResult.parse(await inspect("--method", "tools/call", "--tool-name", name, ...json))
      .structuredContent;
  };

  it("the MCP Inspector lists the tools, submits, waits and reads", async () => {
    const { tools } = z
      .object({ tools: z.array(z.object({ name: z.string() })) })
      .parse(await inspect("--method", "tools/list"));
    const names = new Set(tools.map((tool) => tool.name));
    assert.deepEqual(
      SEED_TOOLS.filter((name) => !names.has(name)),
      [],
    );
    const work = { task_type: "echo", model_name: "", payload: { from: "inspector" } };
    const { task_id } = submitted.parse(await inspectTool("p2p_taskqueue_submit", work));
    const waited = row.parse(await inspectTool("p2p_taskqueue_wait_task", { task_id, timeout_s: 20 }));
    assert.equal(waited.task.status, "completed");
    const read = row.parse(await inspectTool("p2p_taskqueue_get_task", { task_id }));
    assert.deepEqual(read.task, waited.task);
  });

  it("the SDK v1 client lists the tools, submits, waits and reads", async () => {
    const client = new Client({ name: "v1", version: "1" });
    await client.connect(v1Transport.parse(new StreamableHTTPClientTransport(new URL(node.mcp))));
    try {
      const { tools } = await client.listTools();
      assert.deepEqual(
        SEED_TOOLS.filter((name) => !tools.some((tool) => tool.name === name)),
        [],
      );
      const call = async (name: string, args: Record<string, unknown>): Promise<unknown> =>
        (await client.callTool({ name, arguments: args })).structuredContent;
      const work = { task_type: "echo", model_name: "", payload: { from: "v1" } };
      const { task_id } = submitted.parse(await call("p2p_taskqueue_submit", work));
      const waited = row.parse(await call("p2p_taskqueue_wait_task", { task_id, timeout_s: 20 }));
      assert.equal(waited.task.status, "completed");
      assert.deepEqual(row.parse(await call("p2p_taskqueue_get_task", { task_id })).task, waited.task);
    } finally {
      await client.close();
    }
  });
});

describe("a bare JSON-RPC client over mcpp serve --stdio", () => {
  const folder = temporaryFolder();
  after(() => folder[Symbol.dispose]());

  it("submits, waits and reads, and sees nothing but JSON on standard output", async () => {
    const child = spawnMcpp(
      ["serve", "--stdio", "--no-p2p", "--port", "0", "--data-dir", folder.path],
      folder.path,
    );
    const { stdin, stdout } = child;
    assert.ok(stdin && stdout);
    child.stderr?.resume();
    const answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
    let id = 0;
    const ask = async (method: string, params: object): Promise<unknown> => {
      id += 1;
      stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
      for (;;) {
        const { value, done } = await answers.next();
        assert.equal(done, false, "the output ended before the answer");
        const message = z
          .object({ jsonrpc: z.literal("2.0"), id: z.number().optional(), result: z.unknown() })
          .parse(JSON.parse(value));
        if (message.id === id) return message.result;
      }
    };
    const tool = async (name: string, args: object): Promise<unknown> =>
      callResult.parse(await ask("tools/call", { name, arguments: args })).structuredContent;

    const clientInfo = { name: "bare", version: "0" };
    await ask("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
    stdin.write(`${JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })}\n`);
    const work = { task_type: "echo", model_name: "", payload: { from: "stdio" } };
    const { task_id } = submitted.parse(await tool("p2p_taskqueue_submit", work));
    const waited = row.parse(await tool("p2p_taskqueue_wait_task", { task_id, timeout_s: 20 }));
    assert.equal(waited.task.status, "completed");
    assert.deepEqual(row.parse(await tool("p2p_taskqueue_get_task", { task_id })).task, waited.task);

    const exit = once(child, "exit");
    stdin.end();
    assert.deepEqual(await exit, [0, null]);
    assert.equal((await answers.next()).done, true);
  });
});
