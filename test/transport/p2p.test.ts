import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Client } from "@modelcontextprotocol/client";
import { McpServer } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import * as z from "zod";
import type { MessageChannel } from "../../src/p2p/index.ts";
import { p2pTransport } from "../../src/transport/p2p.ts";
import { addressOf, echo, text, withHosts } from "../p2p/hosts.ts";

const LIMIT = { timeout: 60_000 };

function buildServer(): McpServer {
  const server = new McpServer({ name: "test", version: "1.0.0" }, { capabilities: { tools: {} } });
  server.registerTool("echo", { inputSchema: z.object({ value: z.string() }) }, ({ value }) => ({
    content: [{ type: "text", text: value }],
  }));
  server.registerTool(
    "steps",
    { inputSchema: z.object({ count: z.number() }) },
    async ({ count }, { mcpReq }) => {
      const progressToken = mcpReq._meta?.progressToken ?? 0;
      for (let progress = 1; progress <= count; progress++) {
        await mcpReq.notify({
          method: "notifications/progress",
          params: { progressToken, progress, total: count },
        });
      }
      return { content: [{ type: "text", text: "done" }] };
    },
  );
  server.registerTool("wait", {}, () => new Promise<never>(() => undefined));
  return server;
}

function serve(channel: MessageChannel): void {
  serveStdio(buildServer, { transport: p2pTransport(channel) });
}

async function connect(channel: MessageChannel, mode: "legacy" | "auto"): Promise<Client> {
  const client = new Client({ name: "test", version: "1.0.0" }, { versionNegotiation: { mode } });
  await client.connect(p2pTransport(channel));
  return client;
}

describe("MCP over a stream to a peer", LIMIT, () => {
  for (const mode of ["legacy", "auto"] as const) {
    it(`lists and calls tools (${mode}), beside calls between the nodes`, () =>
      withHosts(async (open) => {
        const [a, b] = [await open(), await open({ onMcp: serve })];
        const target = { multiaddr: addressOf(b) };
        const client = await connect(await a.openChannel(target), mode);

        const { tools } = await client.listTools();
        assert.deepEqual(
          tools.map(({ name }) => name),
          ["echo", "steps", "wait"],
        );
        const values = Array.from({ length: 100 }, (_, i) => `v${i}`);
        const [results, rpc] = await Promise.all([
          Promise.all(values.map((value) => client.callTool({ name: "echo", arguments: { value } }))),
          a.rpc.call(target, echo, { value: "rpc" }),
        ]);
        assert.deepEqual(
          results.map(({ content }) => content),
          values.map((value) => [{ type: "text", text: value }]),
        );
        assert.deepEqual(rpc, { value: "rpc" });
        await client.close();
      }));

    it(`loses no progress that comes together with the result (${mode})`, () =>
      withHosts(async (open) => {
        const [a, b] = [await open(), await open({ onMcp: serve })];
        const client = await connect(await a.openChannel({ multiaddr: addressOf(b) }), mode);
        for (let round = 0; round < 20; round++) {
          const seen: number[] = [];
          const onprogress = ({ progress }: { progress: number }): void => void seen.push(progress);
          await client.callTool({ name: "steps", arguments: { count: 3 } }, { onprogress });
          assert.deepEqual(seen, [1, 2, 3]);
        }
        await client.close();
      }));
  }

  it("carries large messages, and ends with the connection", () =>
    withHosts(async (open) => {
      const [a, b] = [await open(), await open({ onMcp: serve })];
      const client = await connect(await a.openChannel({ multiaddr: addressOf(b) }), "legacy");
      const value = text(4 * 1024 * 1024);
      const { content } = await client.callTool({ name: "echo", arguments: { value } });
      assert.deepEqual(content, [{ type: "text", text: value }]);
      const huge = client.callTool({ name: "echo", arguments: { value: text(17 * 1024 * 1024) } });
      await assert.rejects(huge, /frame holds/);

      const cut = client.callTool({ name: "wait", arguments: {} });
      const failed = assert.rejects(cut, { code: "CONNECTION_CLOSED" });
      await b.close();
      await failed;
    }));

  it("is refused by a node that serves none", () =>
    withHosts(async (open) => {
      const [a, b] = [await open(), await open()];
      const channel = await a.openChannel({ multiaddr: addressOf(b) });
      await assert.rejects(connect(channel, "legacy"));
    }));
});
