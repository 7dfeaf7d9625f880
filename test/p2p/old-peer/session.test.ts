/** Our client at a peer that speaks the initialize-first dialect of /mcp+p2p/1.0.0. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nodeStatus, toolCall } from "../../../src/peer/methods.ts";
import { remoteQueue } from "../../../src/task/remote.ts";
import type { NewTask } from "../../../src/task/task.ts";
import { text, withHosts } from "../hosts.ts";
import { lineServer, oldQueue, sessionServer } from "./servers.ts";

const LIMIT = { timeout: 60_000 };
const TOKEN = "0123456789abcdef0123456789abcdef";

const of = (bytes: number): readonly NewTask[] => [{ type: "t", payload: { text: text(bytes) } }];

describe("a peer that wants initialize first", LIMIT, () => {
  it("is driven for 300 calls across its limit of frames, and none is lost or made twice", () =>
    withHosts(async (open) => {
      await using server = await sessionServer(oldQueue());
      const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });

      for (let n = 0; n < 300; n++) await queue.submit([{ type: "t", payload: { n } }]);

      const seen = server.requests.map(({ payload }) => payload);
      assert.deepEqual(
        seen,
        Array.from({ length: 300 }, (_, n) => ({ n })),
      );
      // The first stream carried the question that was refused; the others 126 calls after the handshake.
      assert.deepEqual(server.framesOfStreams, [1, 127, 127, 49]);
    }));

  it("is driven by many calls at once, each made once", () =>
    withHosts(async (open) => {
      await using server = await sessionServer(oldQueue());
      const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });

      const calls = Array.from({ length: 200 }, (_, n) => queue.submit([{ type: "t", payload: { n } }]));
      const ids = (await Promise.all(calls)).map(([receipt]) => receipt?.taskId);

      assert.equal(new Set(ids).size, 200);
      assert.equal(server.requests.length, 200);
    }));

  it("makes a call that may not be made twice just once, though the first question is refused", () =>
    withHosts(async (open) => {
      await using server = await sessionServer(oldQueue());
      const { rpc } = await open();

      const answer = await rpc.call({ multiaddr: server.address }, toolCall, { name: "add", args: { a: 1 } });

      assert.deepEqual(answer["result"], { a: 1 });
      assert.equal(server.requests.length, 1);
    }));

  it("is found out also by a node with a token, which is not sent", () =>
    withHosts(async (open) => {
      await using server = await sessionServer(oldQueue());
      const { rpc } = await open({ sharedToken: TOKEN });

      await rpc.call({ multiaddr: server.address }, nodeStatus, { detail: false });

      assert.equal(JSON.stringify(server.requests).includes(TOKEN), false);
    }));

  it("keeps to its own limits if it tells them", () =>
    withHosts(async (open) => {
      await using server = await sessionServer(oldQueue(), { maxFrames: 5, maxFrameBytes: 4000 });
      const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });
      for (let n = 0; n < 7; n++) await queue.submit([{ type: "t", payload: { n } }]);
      const sent = server.requests.length;

      const large = [{ type: "t", payload: { text: text(4000) } }];
      await assert.rejects(queue.submit(large), { code: "E_MESSAGE_TOO_LARGE" });

      assert.deepEqual([sent, server.requests.length], [7, 7]);
      assert.ok(server.framesOfStreams.every((frames) => frames < 5));
    }));

  it("is sent nothing above 1 MiB if it tells no limits, and what it takes still passes", () =>
    withHosts(async (open) => {
      await using server = await sessionServer(oldQueue(), { tells: false });
      const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });
      await assert.rejects(queue.submit(of(1024 * 1024)), { code: "E_MESSAGE_TOO_LARGE" });
      await queue.submit(of(1024 * 1024 - 1000));

      assert.equal(server.requests.length, 1);
    }));

  it("may send Python's numbers", () =>
    withHosts(async (open) => {
      await using server = await sessionServer(
        () => '{"ok": true, "load": NaN, "big": 123456789012345678901234567890}',
      );
      const { rpc } = await open();

      const status = await rpc.call({ multiaddr: server.address }, nodeStatus, { detail: true });

      assert.deepEqual(status, { ok: true, load: null, big: { $integer: "123456789012345678901234567890" } });
    }));

  it("does not hold up other calls by a slow one, nor lose the next by one that was given up", () =>
    withHosts(async (open) => {
      await using server = await sessionServer((request) =>
        request["op"] === "call_tool" ? undefined : { ok: true },
      );
      const { rpc } = await open();
      const target = { multiaddr: server.address };
      await rpc.call(target, nodeStatus, { detail: false });
      const slow = rpc.call(target, toolCall, { name: "slow", args: {} }, { timeoutMs: 1000 });
      const outcome = assert.rejects(slow, { code: "E_PEER_TIMEOUT" });

      for (let n = 0; n < 5; n++) await rpc.call(target, nodeStatus, { detail: false });
      await outcome;
      await rpc.call(target, nodeStatus, { detail: false });

      assert.equal(server.requests.filter(({ op }) => op === "call_tool").length, 1);
    }));

  it("is called by newline JSON if it refuses initialize and speaks that too", () =>
    withHosts(async (open) => {
      await using lines = await lineServer(oldQueue());
      await using other = await sessionServer(oldQueue(), { refuses: true, on: lines.peer });
      const queue = remoteQueue((await open()).rpc, { multiaddr: other.address });

      await queue.submit([{ type: "t", payload: {} }]);

      assert.deepEqual([lines.requests.length, other.requests.length], [1, 0]);
    }));

  it("is given up with a clear error if it speaks nothing that we do", () =>
    withHosts(async (open) => {
      await using server = await sessionServer(oldQueue(), { refuses: true });
      const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });

      await assert.rejects(queue.submit([{ type: "t", payload: {} }]), { code: "E_NOT_SUPPORTED_BY_PEER" });
    }));
});
