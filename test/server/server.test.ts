/** The MCP server over connections in this process: eras, progress, cancellation, deadlines, mounted tools. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Client, type ClientOptions } from "@modelcontextprotocol/client";
import type { CallToolResult } from "@modelcontextprotocol/server";
import { type Caller, OWNER } from "../../src/authority/caller.ts";
import { isJsonObject } from "../../src/content/json.ts";
import { ConnectionLostError, ToolNotFoundError } from "../../src/errors.ts";
import { type Upstream, UPSTREAM_DEADLINE_MS, type UpstreamTool } from "../../src/server/index.ts";
import { memoryPair } from "../../src/transport/index.ts";
import { settled, TestClock } from "../support/clock.ts";
import { FRIEND, openSmallNode, type SmallNode, type SmallNodeOptions, STRANGER } from "./support.ts";
import { aborted, breaks, echo, endless, steps } from "./tools.ts";

/** Tools of a mounted server, which a test can change. */
class Mounted implements Upstream {
  tools: UpstreamTool[] = [mounted("fs__read"), mounted("fs__alpha"), mounted("echo")];
  readonly #listeners = new Set<() => void>();

  listTools(): readonly UpstreamTool[] {
    return this.tools;
  }

  async call(
    name: string,
    args: object,
    { onProgress }: Parameters<Upstream["call"]>[2],
  ): Promise<CallToolResult> {
    if (name === "fs__alpha") throw new ConnectionLostError("the mounted server is gone");
    onProgress(1, 2, "half");
    return { content: [{ type: "text", text: `read ${JSON.stringify(args)}` }], _meta: { kept: true } };
  }

  onChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  change(tools: UpstreamTool[]): void {
    this.tools = tools;
    for (const listener of this.#listeners) listener();
  }
}

function mounted(name: string): UpstreamTool {
  return {
    name,
    inputSchema: {
      type: "object",
      properties: { path: { type: "string", format: "odd" } },
      $comment: "verbatim",
    },
  };
}

const MODES: readonly (readonly [string, ClientOptions])[] = [
  ["auto", { versionNegotiation: { mode: "auto" } }],
  ["legacy", { versionNegotiation: { mode: "legacy" } }],
  ["pinned", { versionNegotiation: { mode: { pin: "2026-07-28" } } }],
];

let open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const resource of open.toReversed()) await resource[Symbol.asyncDispose]();
  open = [];
});

async function openNode(options: SmallNodeOptions): Promise<SmallNode> {
  const node = await openSmallNode(options);
  open.push(node);
  return node;
}

async function connect(node: SmallNode, options?: ClientOptions, caller: Caller = OWNER): Promise<Client> {
  const [near, far] = memoryPair();
  await node.server.serveStream(far, caller);
  const client = new Client({ name: "t", version: "1" }, options);
  await client.connect(near);
  open.push({ [Symbol.asyncDispose]: () => client.close() });
  return client;
}

describe("MCP server", () => {
  for (const [label, options] of MODES) {
    it(`serves a client in mode ${label}: list, call, progress in order`, async () => {
      const node = await openNode({ tools: [echo, steps] });
      const client = await connect(node, options);
      assert.deepEqual(
        (await client.listTools()).tools.map(({ name }) => name),
        ["echo", "steps"],
      );
      const { structuredContent, content } = await client.callTool({
        name: "echo",
        arguments: { text: "hi" },
      });
      assert.deepEqual(structuredContent, { ok: true, text: "hi" });
      assert.deepEqual(content, [{ type: "text", text: JSON.stringify(structuredContent) }]);
      const seen: unknown[] = [];
      for (let round = 0; round < 20; round++) {
        await client.callTool(
          { name: "steps", arguments: {} },
          { onprogress: (progress) => seen.push(progress) },
        );
      }
      const once = [1, 2, 3].map((progress) => ({ progress, total: 3, message: `step ${progress}` }));
      assert.deepEqual(seen, Array.from({ length: 20 }, () => once).flat());
    });
  }

  it("aborts the tool when the request is cancelled, and when the connection ends", async () => {
    const forever = endless();
    const node = await openNode({ tools: [forever.tool] });
    const client = await connect(node);
    const controller = new AbortController();
    const cancelled = client.callTool({ name: "endless", arguments: {} }, { signal: controller.signal });
    const first = await forever.begun();
    controller.abort();
    await assert.rejects(cancelled);
    await aborted(first);

    const lost = client.callTool({ name: "endless", arguments: {} });
    const second = await forever.begun();
    const rejected = assert.rejects(lost);
    await client.close();
    await aborted(second);
    await rejected;
  });

  it("keeps 200 calls at once apart", async () => {
    const client = await connect(await openNode({ tools: [echo] }));
    const texts = Array.from({ length: 200 }, (_, index) => `text ${index}`);
    const answers = await Promise.all(
      texts.map((text) => client.callTool({ name: "echo", arguments: { text } })),
    );
    assert.deepEqual(
      answers.map(({ structuredContent }) => structuredContent),
      texts.map((text) => ({ ok: true, text })),
    );
  });

  it("tells bad arguments as a tool error that names them, and an unknown tool as a protocol error", async () => {
    const client = await connect(await openNode({ tools: [echo] }));
    const { isError, structuredContent } = await client.callTool({ name: "echo", arguments: { text: 1 } });
    assert.equal(isError, true);
    assert.ok(isJsonObject(structuredContent));
    assert.deepEqual([structuredContent["ok"], structuredContent["error_code"]], [false, "E_INVALID_INPUT"]);
    assert.match(String(structuredContent["error"]), /text: /);
    await assert.rejects(client.callTool({ name: "nope", arguments: {} }), { code: -32602 });
  });

  it("stops a call at its deadline and says so", async () => {
    const clock = new TestClock();
    const forever = endless(5000);
    const node = await openNode({ tools: [forever.tool], clock });
    const answer = node.call("endless");
    const signal = await forever.begun();
    clock.jump(4999);
    await settled();
    assert.equal(signal.aborted, false);
    clock.jump(1);
    const { ok, error, error_code: code, retryable } = await answer;
    assert.deepEqual([ok, code, retryable], [false, "E_TIMEOUT", true]);
    assert.match(String(error), /endless .* 5000 ms/);
    assert.equal(signal.aborted, true);
  });

  it("rejects a call in this process that its caller aborted, and one of an unknown tool", async () => {
    const forever = endless();
    const node = await openNode({ tools: [forever.tool] });
    const controller = new AbortController();
    const call = node.server.callTool("endless", {}, { caller: OWNER, signal: controller.signal });
    const signal = await forever.begun();
    controller.abort();
    await assert.rejects(call, { name: "AbortError" });
    assert.equal(signal.aborted, true);
    await assert.rejects(node.server.callTool("nope", {}, { caller: OWNER }), ToolNotFoundError);
  });

  it("gives a defect in a tool a code and no more than its message", async () => {
    const node = await openNode({ tools: [breaks] });
    assert.deepEqual(await node.call("breaks"), {
      ok: false,
      error: "broken inside",
      error_code: "E_INTERNAL",
      failure_class: "internal",
      retryable: false,
    });
  });

  it("ends running calls when the node ends, as a shutdown", async () => {
    const forever = endless();
    const node = await openNode({ tools: [forever.tool] });
    const answer = node.call("endless");
    await forever.begun();
    node.nursery.cancel("closing");
    assert.equal((await answer)["error_code"], "E_SHUTTING_DOWN");
    await node.server.close();
    await assert.rejects(node.server.callTool("endless", {}, { caller: OWNER }), { code: "E_SHUTTING_DOWN" });
  });
});

describe("mounted tools", () => {
  it("are listed after the own ones by name, verbatim, and never take an own name", async () => {
    const client = await connect(await openNode({ tools: [echo], upstreams: new Mounted() }));
    const { tools } = await client.listTools();
    assert.deepEqual(
      tools.map(({ name }) => name),
      ["echo", "fs__alpha", "fs__read"],
    );
    assert.deepEqual(tools[2]?.inputSchema, mounted("fs__read").inputSchema);
  });

  it("are called with progress, and their failure has a code", async () => {
    const client = await connect(await openNode({ tools: [echo], upstreams: new Mounted() }));
    const seen: unknown[] = [];
    const onprogress = (progress: unknown): void => void seen.push(progress);
    const read = await client.callTool({ name: "fs__read", arguments: { path: "a" } }, { onprogress });
    assert.deepEqual(read.content, [{ type: "text", text: 'read {"path":"a"}' }]);
    assert.deepEqual(seen, [{ progress: 1, total: 2, message: "half" }]);
    const failed = await client.callTool({ name: "fs__alpha", arguments: {} });
    assert.ok(isJsonObject(failed.structuredContent));
    assert.equal(failed.structuredContent["error_code"], "E_CONNECTION_LOST");
  });

  it("are cut off after ten minutes for a caller, and never for a task, which ends them with its signal", async () => {
    const clock = new TestClock();
    const signals: AbortSignal[] = [];
    const upstreams = new Mounted();
    upstreams.call = async (_name, _args, { signal }) => {
      signals.push(signal);
      await aborted(signal);
      throw signal.reason;
    };
    const node = await openNode({ tools: [], upstreams, clock });
    const forCaller = node.call("fs__read");
    const task = new AbortController();
    const options = { caller: FRIEND, signal: task.signal, untilAborted: true };
    const forTask = assert.rejects(node.server.callTool("fs__read", {}, options), { name: "AbortError" });
    await settled();
    clock.jump(UPSTREAM_DEADLINE_MS);
    assert.equal((await forCaller)["error_code"], "E_TIMEOUT");
    clock.jump(100 * UPSTREAM_DEADLINE_MS);
    await settled();
    assert.deepEqual(
      signals.map((signal) => signal.aborted),
      [true, false],
    );
    task.abort();
    await forTask;
    assert.equal(signals[1]?.aborted, true);
  });

  it("need the grant of their name, to be seen and to be called", async () => {
    const node = await openNode({ tools: [echo], upstreams: new Mounted() });
    assert.deepEqual(
      node.server.listTools(STRANGER).tools.map(({ name }) => name),
      ["echo"],
    );
    assert.equal(node.server.listTools(FRIEND).tools.length, 3);
    assert.equal(node.server.listTools(STRANGER).tools.length, 1);
    assert.equal((await node.call("fs__read", {}, STRANGER))["error_code"], "E_DENIED");
  });

  for (const [label, options] of MODES) {
    it(`announce their changes to a client in mode ${label}`, async () => {
      const upstreams = new Mounted();
      const node = await openNode({ tools: [echo], upstreams });
      const changed = Promise.withResolvers<readonly string[]>();
      const onChanged = (error: unknown, tools: readonly { readonly name: string }[] | null): void => {
        if (error) changed.reject(error);
        else changed.resolve((tools ?? []).map(({ name }) => name));
      };
      const client = await connect(node, { ...options, listChanged: { tools: { onChanged } } });
      await client.listTools();
      upstreams.change([mounted("fs__new")]);
      assert.deepEqual(await changed.promise, ["echo", "fs__new"]);
    });
  }
});
