/** Two hosts that each start `mcpp serve --stdio` on one data folder: both are served, by one node. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import * as z from "zod";
import { connect } from "../../src/connect.ts";
import { hasCode } from "../../src/errors.ts";
import { type NodeProcess, spawnMcpp, startNode, temporaryFolder } from "../support/node-process.ts";

const answerSchema = z.object({ id: z.number(), result: z.record(z.string(), z.unknown()) });
const legacyHello = {
  protocolVersion: "2025-06-18",
  capabilities: {},
  clientInfo: { name: "old host", version: "1" },
};

/** A host: sends lines, and finds answers by their id. */
function host(folder: string, args: readonly string[]) {
  const child = spawnMcpp(["serve", "--stdio", "--data-dir", folder, ...args], folder);
  const answers = new Map<number, (answer: Record<string, unknown>) => void>();
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  assert.ok(child.stdout);
  createInterface({ input: child.stdout }).on("line", (line) => {
    const parsed = answerSchema.safeParse(JSON.parse(line));
    if (parsed.success) answers.get(parsed.data.id)?.(parsed.data.result);
  });
  const send = (message: object): void => {
    child.stdin?.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  };
  let id = 0;
  const ask = (method: string, params: object = {}): Promise<Record<string, unknown>> => {
    const { promise, resolve } = Promise.withResolvers<Record<string, unknown>>();
    id += 1;
    answers.set(id, resolve);
    send({ id, method, params });
    return promise;
  };
  return { child, send, ask, stderr: () => stderr };
}

async function peerIdSeenBy({ ask, send }: ReturnType<typeof host>): Promise<unknown> {
  await ask("initialize", legacyHello);
  send({ method: "notifications/initialized" });
  const { structuredContent } = await ask("tools/call", { name: "p2p_taskqueue_status", arguments: {} });
  return z.object({ peer_id: z.string().min(1) }).parse(structuredContent).peer_id;
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode;
}

describe("two hosts on one data folder", () => {
  for (const [way, args, address] of [
    ["over HTTP", ["--port", "0"], /at http:\/\/127/],
    ["over libp2p", [], /at \/ip4\/127/],
  ] as const) {
    it(`are both served by the node of the first, the second ${way}`, { timeout: 60_000 }, async () => {
      using folder = temporaryFolder();
      const first = host(folder.path, args);
      const second = await peerIdSeenBy(first).then(() => host(folder.path, args));
      try {
        const [one, other] = await Promise.all([peerIdSeenBy(second), first.ask("tools/list")]);
        const { structuredContent } = await first.ask("tools/call", {
          name: "p2p_taskqueue_status",
          arguments: {},
        });
        assert.equal(z.object({ peer_id: z.string() }).parse(structuredContent).peer_id, one);
        const { tools } = await second.ask("tools/list");
        assert.deepEqual(tools, other["tools"]);
        assert.match(second.stderr(), /passing MCP on/);
        assert.match(second.stderr(), address);
        second.child.stdin?.end();
        assert.equal(await exitOf(second.child), 0, second.stderr());
      } finally {
        first.child.kill("SIGKILL");
        second.child.kill("SIGKILL");
        await Promise.all([exitOf(first.child), exitOf(second.child)]);
      }
    });
  }

  it("may be of the newest era, calls given up and all", { timeout: 60_000 }, async () => {
    using folder = temporaryFolder();
    await using node = await startNode(folder.path, ["--workers", "0"]).then(disposable);
    await writeFile(join(folder.path, "empty.toml"), "");
    const bin = fileURLToPath(new URL("../../bin/mcpp.js", import.meta.url));
    const args = ["serve", "--stdio", "--data-dir", folder.path, "--config", join(folder.path, "empty.toml")];
    await using client = await connect([process.execPath, bin, ...args].join(" "));
    assert.equal(client.protocolVersion, "2026-07-28");
    assert.equal((await client.call("p2p_taskqueue_status"))["peer_id"], node.peer_id);
    const task = { task_type: "nobody-does-this", model_name: "", payload: {} };
    const { task_id } = await client.call("p2p_taskqueue_submit", task);
    const wait = { task_id, timeout_s: 30 };
    await assert.rejects(client.call("p2p_taskqueue_wait_task", wait, { timeoutMs: 300 }), (error: unknown) =>
      hasCode(error, "E_TIMEOUT"),
    );
    assert.equal((await client.call("p2p_taskqueue_status"))["peer_id"], node.peer_id);
  });

  it("learn that the node has ended, and their processes end too", { timeout: 60_000 }, async () => {
    using folder = temporaryFolder();
    await using node = await startNode(folder.path, ["--workers", "0"]).then(disposable);
    const other = host(folder.path, ["--no-http"]);
    try {
      assert.equal(await peerIdSeenBy(other), node.peer_id);
      await node.kill();
      other.send({ id: 99, method: "tools/list", params: {} });
      assert.equal(await exitOf(other.child), 4, other.stderr());
    } finally {
      other.child.kill("SIGKILL");
    }
  });
});

function disposable(node: NodeProcess): NodeProcess & AsyncDisposable {
  return Object.assign(node, { [Symbol.asyncDispose]: () => node.kill() });
}
