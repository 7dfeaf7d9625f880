/** `/mcp+p2p/1.0.0` that begins with initialize: a client there, a node here. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as z from "zod";
import { startNode, temporaryFolder } from "../../support/node-process.ts";
import { LIMIT } from "../limits.ts";
import type { Foreign } from "../prepare.ts";
import { connected, submitted, taskAnswer } from "../schemas.ts";

const VERSION = "2024-11-05";

const INITIALIZE = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { clientInfo: { name: "interop", version: "1" }, profiles: ["mcp++/p2p-transport"] },
};

const initialized = z.object({
  result: z.object({
    ok: z.literal(true),
    protocolVersion: z.literal(VERSION),
    limits: z.object({ max_frame_bytes: z.number(), max_frames: z.number() }),
  }),
});
const listed = z.object({ result: z.object({ tools: z.array(z.object({ name: z.string() })) }) });
const called = z.object({ result: z.object({ content: z.unknown() }) });
const failed = z.object({ error: z.object({ code: z.number(), message: z.string() }) });
const answers = z.array(z.unknown());

const call = (id: number, name: string, args: object): object => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name, arguments: args },
});
const rpc = (id: number, request: object): object => call(id, "task_queue.rpc", request);

export function frames(foreign: Foreign): void {
  describe("frames, client there", () => {
    it("initialize, tools/list, and tools/call of the queue and of a tool", LIMIT, async () => {
      using folder = temporaryFolder();
      await using there = await foreign.start();
      const node = await startNode(folder.path, ["--no-http"]);
      try {
        const { peer_id } = node;
        await there.run("connect", { to: node.multiaddrs[0] }, connected);
        const converse = (...messages: object[]): Promise<unknown[]> =>
          there.run("converse", { peer_id, messages }, answers);
        const task = { op: "submit", task_type: "echo", model_name: "", payload: { from: foreign.name } };

        const [hello, tools, receipt, nothing, unknown] = await converse(
          INITIALIZE,
          { jsonrpc: "2.0", id: 2, method: "tools/list" },
          rpc(3, task),
          call(4, "no_such_tool", {}),
          { jsonrpc: "2.0", id: 5, method: "no/such" },
        );
        const { task_id } = submitted.parse(called.parse(receipt).result.content);
        const [, waited, status] = await converse(
          INITIALIZE,
          rpc(2, { op: "wait", task_id, timeout_s: 20 }),
          call(3, "p2p_taskqueue_status", {}),
        );

        initialized.parse(hello);
        const names = listed.parse(tools).result.tools.map(({ name }) => name);
        assert.ok(
          names.includes("task_queue.rpc") && names.includes("p2p_taskqueue_submit"),
          names.join(" "),
        );
        assert.equal(taskAnswer.parse(called.parse(waited).result.content).task.status, "completed");
        assert.deepEqual(failed.parse(nothing).error, { code: -32002, message: "unknown_tool" });
        assert.equal(failed.parse(unknown).error.code, -32601);
        assert.ok(called.parse(status).result.content);
      } finally {
        await node.stop();
      }
    });

    it("200 calls on one stream", LIMIT, async () => {
      using folder = temporaryFolder();
      await using there = await foreign.start();
      const node = await startNode(folder.path, ["--no-http", "--workers", "0"]);
      try {
        const { peer_id } = node;
        await there.run("connect", { to: node.multiaddrs[0] }, connected);
        const calls = Array.from({ length: 200 }, (_, n) => rpc(n + 2, { op: "get", task_id: "none" }));

        const got = await there.run("converse", { peer_id, messages: [INITIALIZE, ...calls] }, answers);

        assert.equal(got.length, 201);
        for (const one of got.slice(1)) called.parse(one);
      } finally {
        await node.stop();
      }
    });
  });
}
