/** Our client at a peer that speaks nothing but newline JSON. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { remoteCache } from "../../../src/cache/remote.ts";
import { nodeHeartbeat, nodeStatus, toolCall } from "../../../src/peer/methods.ts";
import { remoteQueue } from "../../../src/task/remote.ts";
import { until, withHosts } from "../hosts.ts";
import { lineServer, oldQueue } from "./servers.ts";

const LIMIT = { timeout: 60_000 };

describe("a peer that speaks only newline JSON", LIMIT, () => {
  it("takes tasks, shows them, and gives them to a worker of ours", () =>
    withHosts(async (open) => {
      await using server = await lineServer(oldQueue());
      const host = await open();
      const queue = remoteQueue(host.rpc, { multiaddr: server.address });

      const [receipt] = await queue.submit([{ type: "echo", payload: { a: "é" }, priority: 8 }]);
      assert.ok(receipt);
      const { taskId } = receipt;
      const page = await queue.list({ state: "queued", types: ["echo"], limit: 5 });
      assert.deepEqual(
        page.tasks.map(({ id, state, priority }) => ({ id, state, priority })),
        [{ id: taskId, state: "queued", priority: 8 }],
      );
      assert.equal((await queue.wait(taskId, 10)).finished, false);

      const [claimed] = await queue.claim({ workerId: "w", types: ["echo"], limit: 4 });
      assert.ok(claimed);
      assert.deepEqual(claimed.lease, { taskId, token: 1 });
      assert.deepEqual(claimed.task.payload, { a: "é", priority: 8 });
      assert.ok((await queue.renew(claimed.lease, 60_000)) > Date.now());
      await queue.note(claimed.lease, { progress: { done: 1 } });
      await queue.complete(claimed.lease, { text: "hello" });

      const done = await queue.wait(taskId, 5000);
      assert.deepEqual([done.finished, done.task.result], [true, { text: "hello" }]);
      assert.deepEqual((await queue.get(taskId))?.workerId, "w");
      assert.equal(await queue.get("f".repeat(32)), undefined);
    }));

  it("is told of failures, with the code", () =>
    withHosts(async (open) => {
      await using server = await lineServer(oldQueue());
      const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });
      const [receipt] = await queue.submit([{ type: "echo", payload: {} }]);
      const [claimed] = await queue.claim({ workerId: "w" });
      assert.ok(claimed && receipt);

      const error = { code: "E_TOOL_FAILED", message: "no luck", failureClass: "internal" };
      await queue.fail(claimed.lease, { error, retry: true });

      const task = await queue.get(receipt.taskId);
      assert.deepEqual([task?.state, task?.error], ["failed", error]);
    }));

  it("answers about itself, runs tools and caches", () =>
    withHosts(async (open) => {
      await using server = await lineServer(oldQueue());
      const { rpc } = await open();
      const target = { multiaddr: server.address };
      const cache = remoteCache(rpc, target);

      assert.equal((await rpc.call(target, nodeStatus, { detail: true }))["ok"], true);
      assert.equal((await rpc.call(target, nodeHeartbeat, { peerId: "P" }))["peer"], "P");
      const called = await rpc.call(target, toolCall, { name: "add", args: { a: 1 } });
      assert.deepEqual(called["result"], { a: 1 });
      assert.equal(await cache.get("k"), undefined);
      await cache.set("k", { v: 1 }, 5000);
      assert.deepEqual(await cache.get("k"), { value: { v: 1 }, version: 0 });
      assert.equal(await cache.has("k"), true);
      assert.equal(await cache.delete("k"), true);
      assert.equal(await cache.has("k"), false);
    }));

  it("is not asked for what it cannot do, and says so", () =>
    withHosts(async (open) => {
      await using server = await lineServer(oldQueue());
      const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });
      const task = { type: "t", payload: {} };
      await queue.submit([task, task].slice(1));
      const [claimed] = await queue.claim({ workerId: "w" });
      assert.ok(claimed);
      const sent = server.requests.length;

      const no = { code: "E_NOT_SUPPORTED_BY_PEER" };
      await assert.rejects(queue.submit([task, task]), no);
      await assert.rejects(queue.submit([{ ...task, delayMs: 1000 }]), no);
      await assert.rejects(queue.submit([{ ...task, idempotencyKey: "k" }]), no);
      await assert.rejects(queue.list({ cursor: "x" }), no);
      await assert.rejects(queue.stats(), no);
      assert.equal(server.requests.length, sent);
      // The peer itself says that it does not know these.
      await assert.rejects(queue.cancel(claimed.lease.taskId, "why"), no);
      await assert.rejects(queue.release(claimed.lease, "why"), no);
    }));

  it("is not taken for the end of a list that may go on", () =>
    withHosts(async (open) => {
      await using server = await lineServer(oldQueue());
      const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });
      for (const n of [1, 2, 3]) await queue.submit([{ type: "t", payload: { n } }]);

      const page = await queue.list({ limit: 2 });

      assert.equal(page.tasks.length, 2);
      assert.ok(page.nextCursor);
      await assert.rejects(queue.list({ limit: 2, cursor: page.nextCursor }), {
        code: "E_NOT_SUPPORTED_BY_PEER",
      });
      assert.equal((await queue.list({ limit: 4 })).nextCursor, undefined);
    }));

  it("is asked by all names of a type, since it compares them as they are", () =>
    withHosts(async (open) => {
      await using server = await lineServer(oldQueue());
      const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });
      await queue.submit([{ type: "tool", payload: { tool: "add" } }]);

      const [claimed] = await queue.claim({ workerId: "w", types: ["tool.call"] });

      assert.equal(claimed?.task.type, "tool");
    }));

  it("may send Python's numbers", () =>
    withHosts(async (open) => {
      const row =
        '{"task_id": "a", "task_type": "t", "status": "completed", "payload": {"x": NaN}, "result": {"big": 123456789012345678901234567890, "inf": -Infinity}, "created_at": 1.5}';
      await using server = await lineServer(() => `{"ok": true, "task": ${row}}\n`);
      const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });

      const task = await queue.get("a");

      assert.deepEqual(task?.payload, { x: null });
      assert.deepEqual(task?.result, { big: { $integer: "123456789012345678901234567890" }, inf: null });
    }));

  it("is asked again while a claim waits, with growing pauses", () =>
    withHosts(async (open) => {
      let claims = 0;
      const queueOf = oldQueue();
      await using server = await lineServer((request, stream) => {
        if (request["op"] === "claim" && ++claims === 2)
          queueOf({ op: "submit", task_type: "t", model_name: "", payload: {} }, stream);
        return queueOf(request, stream);
      });
      const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });

      const claimed = await queue.claim({ workerId: "w", waitMs: 10_000 });

      assert.equal(claimed.length, 1);
      assert.equal(claims, 2);
    }));

  it("gets the first request on the stream that showed what it speaks, so that none is opened in vain", () =>
    withHosts(async (open) => {
      await using server = await lineServer(oldQueue());
      const { rpc } = await open();

      await rpc.call({ multiaddr: server.address }, nodeStatus, { detail: false });

      assert.deepEqual([server.streams.opened, server.streams.reset], [1, 0]);
    }));

  it("is told goodbye on that stream, not cut off, if there is no request", () =>
    withHosts(async (open) => {
      await using server = await lineServer(oldQueue());
      const host = await open({ limits: { sweepMs: 20 } });

      await host.resolve({ multiaddr: server.address });
      await until(() => server.streams.unused > 0);

      assert.deepEqual(server.streams, { opened: 1, unused: 1, reset: 0 });
      assert.equal(host.stats().connections, 1);
    }));

  it("gets one stream for each request, and keeps none", () =>
    withHosts(async (open) => {
      await using server = await lineServer(oldQueue());
      const host = await open();
      const queue = remoteQueue(host.rpc, { multiaddr: server.address });

      const ids = Array.from({ length: 200 }, (_, n) => queue.submit([{ type: "t", payload: { n } }]));
      assert.equal(new Set((await Promise.all(ids)).map(([receipt]) => receipt?.taskId)).size, 200);

      assert.equal(server.requests.length, 200);
      assert.deepEqual([host.stats().connections, host.stats().inFlight], [1, 0]);
    }));
});
