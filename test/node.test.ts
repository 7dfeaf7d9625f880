import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { callTool, connect, createNode, loadConfig, type Node, type NodeConfig } from "../src/index.ts";
import { errorFacts, hasCode, StoreLockedError } from "../src/errors.ts";
import { MAX_PAYLOAD_BYTES } from "../src/task/task.ts";
import { temporaryFolder } from "./support/node-process.ts";

const EVERYTHING = join(
  import.meta.dirname,
  "../node_modules/@modelcontextprotocol/server-everything/dist/index.js",
);

function configIn(dataDir: string, flags: Readonly<Record<string, unknown>> = {}): NodeConfig {
  return loadConfig({ env: {}, flags: { dataDir, port: "0", logLevel: "silent", ...flags } }).config;
}

const taskAnswer = z.object({
  task: z.object({ result: z.object({ echo: z.object({ text: z.string() }) }) }),
});

/** How long the text is that an echo gave back. */
async function read(answer: Promise<object>): Promise<number> {
  return taskAnswer.parse(await answer).task.result.echo.text.length;
}

/** What keeps a process alive, by kind. */
function handles(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

function computeSlowly(): Promise<unknown> {
  return sleep(20, "computed");
}

describe("a node", () => {
  it("leaves no handle open when it is closed", async () => {
    using folder = temporaryFolder();
    const before = handles();
    const node = await createNode(
      configIn(folder.path, { mount: [`everything=${process.execPath} ${EVERYTHING}`], logLevel: "silent" }),
    );
    await using client = await connect(node);
    await client.call("p2p_taskqueue_status", { detail: true });
    const viaHttp = await callTool(node.url ?? "", "p2p_taskqueue_status", {});
    assert.equal(viaHttp["peer_id"], node.peerId);
    await client.close();
    await node.close();
    await node.ended;
    // libp2p debounces its address book by a second, also when it was stopped meanwhile.
    for (let round = 0; round < 100 && handles()["Timeout"] !== undefined; round++) await sleep(50);
    assert.deepEqual(handles(), before);
  });

  it("does not end a task of another node's queue without the claim's token, and says so", async () => {
    using folder = temporaryFolder();
    await using node = await createNode(configIn(folder.path, { http: false, workers: "0" }));
    await using client = await connect(node);
    const remote = `/ip4/127.0.0.1/tcp/1/p2p/12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo`;
    const ending = client.call("p2p_taskqueue_complete_task", { task_id: "t", remote_multiaddr: remote });
    await assert.rejects(ending, (error) => {
      assert.ok(hasCode(error, "E_LEASE_TOKEN_REQUIRED"));
      assert.match(errorFacts(error).message, /in the queue of another node/);
      assert.doesNotMatch(errorFacts(error).message, /more than once/);
      return true;
    });
  });

  it("gives the largest results to a peer and to MCP clients", { timeout: 60_000 }, async () => {
    using folder = temporaryFolder();
    using other = temporaryFolder();
    await using owner = await createNode(configIn(folder.path));
    await using submitter = await createNode(configIn(other.path, { workers: "0", http: false }));
    // Quotes double when the result is repeated as text.
    const text = '"'.repeat(MAX_PAYLOAD_BYTES / 2 - 16);
    const remote = { remote_multiaddr: owner.multiaddrs[0] ?? "" };
    await using near = await connect(submitter);
    const submit = { task_type: "echo", model_name: "", payload: { text }, ...remote };
    const { task_id } = await near.call("p2p_taskqueue_submit", submit);
    const asked = { task_id, timeout_s: 30 };
    assert.equal(await read(near.call("p2p_taskqueue_wait_task", { ...asked, ...remote })), text.length);
    assert.equal(await read(near.call("p2p_taskqueue_get_task", { task_id, ...remote })), text.length);
    assert.equal(await read(callTool(owner.url ?? "", "p2p_taskqueue_get_task", { task_id })), text.length);
    await using overStream = await connect(owner.multiaddrs[0] ?? "");
    assert.equal(await read(overStream.call("p2p_taskqueue_get_task", { task_id })), text.length);
  });

  it("does a tool call once that its tool refuses, and says why as the tool does", async () => {
    using folder = temporaryFolder();
    await using node = await createNode(configIn(folder.path, { http: false, p2p: false }));
    const payload = { tool: "p2p_taskqueue_get_task", args: {} };
    const [receipt] = await node.queue.submit([{ type: "tool.call", payload }]);
    const { task } = await node.queue.wait(receipt?.taskId ?? "", 30_000);
    assert.deepEqual([task.state, task.attempt, task.error?.code], ["failed", 1, "E_INVALID_INPUT"]);
    assert.match(task.error?.message ?? "", /^arguments of .* task_id: /);
  });

  it("ends open waits at once when it closes, and needs no longer than its drain time", async () => {
    using folder = temporaryFolder();
    const node = await createNode(configIn(folder.path, { drain: "500ms" }));
    const [receipt] = await node.queue.submit([{ type: "echo", payload: { sleep_ms: 60_000 } }]);
    const task_id = receipt?.taskId ?? "";
    await using far = await connect(node.multiaddrs[0] ?? "");
    const wait = { task_id, timeout_s: 60 };
    const waits = [
      callTool(node.url ?? "", "p2p_taskqueue_wait_task", wait),
      far.call("p2p_taskqueue_wait_task", wait),
      node.queue.claim({ workerId: "w", types: ["none"], waitMs: 60_000 }),
    ];
    const ends = waits.map((one) =>
      one.then(
        () => "an answer",
        (error: unknown) => [errorFacts(error).code, performance.now()] as const,
      ),
    );
    while ((await node.queue.get(task_id))?.state !== "running") await sleep(5);
    await sleep(200);
    const began = performance.now();
    await node.close();
    const tookMs = performance.now() - began;
    for (const end of await Promise.all(ends)) {
      assert.equal(end[0], "E_SHUTTING_DOWN");
      assert.ok(Number(end[1]) - began < 450, `a wait ended after ${Number(end[1]) - began} ms`);
    }
    assert.ok(tookMs < 1500, `closing took ${tookMs} ms`);
  });

  it("refuses a data folder that another node has, and says who has it", async () => {
    using folder = temporaryFolder();
    await using first = await createNode(configIn(folder.path));
    await assert.rejects(
      createNode(configIn(folder.path)),
      (error) => error instanceof StoreLockedError && error.message.includes(String(process.pid)),
    );
    assert.equal((await callTool(first, "p2p_taskqueue_status"))["ok"], true);
  });

  it("can be closed while it is used, twice, and starts again with the same identity and tasks", async () => {
    using folder = temporaryFolder();
    const first = await createNode(configIn(folder.path, { workers: "0" }));
    const [receipt] = await first.queue.submit([{ type: "echo", payload: {} }]);
    const waiting = first.queue.wait(receipt?.taskId ?? "", 60_000);
    const outcome = waiting.then(
      () => "answered",
      (error: unknown) => (error instanceof Error ? error.name : "?"),
    );
    await Promise.all([first.close(), first.close()]);
    assert.equal(await outcome, "ShuttingDownError");
    await using again = await createNode(configIn(folder.path, { workers: "0" }));
    assert.equal(again.peerId, first.peerId);
    assert.equal((await again.queue.get(receipt?.taskId ?? ""))?.state, "queued");
  });

  it("copies its cache to a peer, and computes what is missing there once", async () => {
    using folder = temporaryFolder();
    using other = temporaryFolder();
    await using owner = await createNode(configIn(folder.path, { http: false, workers: "0" }));
    const [multiaddr = ""] = owner.multiaddrs;
    const cacheReplicas = { peers: [{ multiaddr }] };
    await using node = await createNode(configIn(other.path, { http: false, workers: "0" }), {
      cacheReplicas,
    });
    await node.cache.set("k", { n: 1 });
    const far = node.cacheAt({ multiaddr });
    for (let round = 0; round < 200 && !(await far.has("k")); round++) await sleep(25);
    assert.deepEqual((await owner.cache.get("k"))?.value, { n: 1 });
    const answers = await Promise.all([
      owner.cache.getOrCompute("x", computeSlowly),
      far.getOrCompute("x", computeSlowly),
      far.getOrCompute("x", computeSlowly),
    ]);
    assert.equal(answers.filter(({ computed }) => computed).length, 1);
    const { replicas } = await node.cache.stats();
    assert.equal(replicas[0]?.peer, multiaddr);
    await node.close();
    await node.ended;
  });

  it("copies its cache to nodes of its own that connect, and not to strangers", async () => {
    using folders = temporaryFolder();
    const quiet = { http: false, workers: "0" };
    const listen = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws"];
    const cacheReplicas = { connected: true };
    await using node = await createNode(configIn(join(folders.path, "node"), { ...quiet, listen }), {
      cacheReplicas,
    });
    const at = (web: boolean): string => node.multiaddrs.find((one) => one.includes("/ws/") === web) ?? "";
    const open = { ...quiet, allowPeer: [node.peerId] };
    // A WebSocket from loopback may come from anywhere.
    await using stranger = await createNode(configIn(join(folders.path, "stranger"), open));
    await assert.rejects(stranger.cacheAt({ multiaddr: at(true) }).has("k"), { code: "E_DENIED" });
    await using friend = await createNode(configIn(join(folders.path, "friend"), open));
    await friend.cacheAt({ multiaddr: at(false) }).has("k");
    await node.cache.set("k", { n: 1 });

    for (let round = 0; round < 800 && !(await friend.cache.has("k")); round++) await sleep(25);

    assert.deepEqual((await friend.cache.get("k"))?.value, { n: 1 });
    const { replicas } = await node.cache.stats();
    assert.deepEqual(
      replicas.map(({ peer }) => peer),
      [friend.peerId],
    );
    assert.equal(await stranger.cache.has("k"), false);
  });

  it("is reached by multiaddr, and lists the tools of what is mounted on it", async () => {
    using folder = temporaryFolder();
    await using node: Node = await createNode(
      configIn(folder.path, {
        http: false,
        mount: [`everything=${process.execPath} ${EVERYTHING}`, "bad=/no/such/program"],
      }),
    );
    await using client = await connect(node.multiaddrs[0] ?? "");
    const done = await node.queue.submit([
      { type: "tool.call", payload: { tool: "everything__echo", args: { message: "hi" } } },
    ]);
    const { task } = await node.queue.wait(done[0]?.taskId ?? "", 30_000);
    assert.equal(task.state, "completed", JSON.stringify(task.error));
    assert.match(JSON.stringify(task.result), /Echo: hi/);
    const tools = await client.listTools();
    assert.ok(tools.some((tool) => tool.name === "everything__echo"));
    assert.ok(tools.some((tool) => tool.name === "p2p_taskqueue_submit"));
  });
});

async function submitEcho(node: Node): Promise<string> {
  const [receipt] = await node.queue.submit([{ type: "echo", payload: { at: node.peerId } }]);
  return receipt?.taskId ?? "";
}

describe("a node that works for whatever discovery finds", () => {
  const TOKEN = "a-secret-of-this-test-of-forty-characters";
  // Over WebSocket even loopback does not count as this machine, so these peers are strangers to each other.
  const ws = { http: false, listen: ["/ip4/127.0.0.1/tcp/0/ws"] };

  it("works for one that proves the token, and never for a stranger, even one that discovery names", async () => {
    using folder = temporaryFolder();
    const stranger = await createNode(configIn(join(folder.path, "stranger"), { ...ws, workers: "0" }));
    const env = { MCPP_TOKEN: TOKEN };
    const friendFlags = { dataDir: join(folder.path, "friend"), logLevel: "silent", workers: "0", ...ws };
    const friend = await createNode(loadConfig({ env, flags: friendFlags }).config);
    const victimFlags = {
      dataDir: join(folder.path, "victim"),
      logLevel: "silent",
      workFor: ["discovered"],
      bootstrap: [stranger.multiaddrs[0] ?? "", friend.multiaddrs[0] ?? ""],
      ...ws,
    };
    const victim = await createNode(loadConfig({ env, flags: victimFlags }).config);
    try {
      const lost = await submitEcho(stranger);
      const { task } = await friend.queue.wait(await submitEcho(friend), 30_000);
      assert.equal(task.state, "completed");
      // The stranger was asked in the same round as the friend.
      assert.equal((await stranger.queue.get(lost))?.state, "queued");
    } finally {
      await Promise.all([victim.close(), friend.close(), stranger.close()]);
    }
  });

  it("dials nobody for a stranger, not even to ask for a status", async () => {
    using folder = temporaryFolder();
    await using node = await createNode(configIn(folder.path, { ...ws, workers: "0" }));
    await using client = await connect(node.multiaddrs[0] ?? "");
    assert.equal((await client.call("p2p_taskqueue_status"))["ok"], true);
    await assert.rejects(
      client.call("p2p_taskqueue_status", { remote_multiaddr: "/ip4/127.0.0.1/tcp/1" }),
      (error) => hasCode(error, "E_DENIED"),
    );
  });

  it("refuses to work for an address that does not say whose it is", async () => {
    using folder = temporaryFolder();
    await assert.rejects(
      createNode(configIn(folder.path, { http: false, workFor: ["/ip4/127.0.0.1/tcp/9"] })),
      /does not say whose queue/,
    );
  });
});
