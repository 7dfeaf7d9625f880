/** Old peers that answer badly or not at all, and what may be sent to whom. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "../../../src/clock.ts";
import { silentLogger } from "../../../src/logger.ts";
import { sleep } from "../../../src/nursery/index.ts";
import { startLookout } from "../../../src/p2p/index.ts";
import type { Discovery } from "../../../src/peer/discovery.ts";
import { startHeartbeat } from "../../../src/peer/heartbeat.ts";
import { nodeStatus, toolCall } from "../../../src/peer/methods.ts";
import { createPeerTable } from "../../../src/peer/table.ts";
import { remoteQueue } from "../../../src/task/remote.ts";
import { text, withHosts } from "../hosts.ts";
import { type Answer, lineServer, oldQueue, sessionServer } from "./servers.ts";

const LIMIT = { timeout: 60_000 };
const TOKEN = "0123456789abcdef0123456789abcdef";

/** Ends the stream after writing `part` of an answer. */
const writes =
  (part: string): Answer =>
  () =>
    part;
const resets: Answer = (_request, stream) => {
  stream.abort(new Error("no answer"));
  return undefined;
};
const silent: Answer = () => undefined;

const BAD: readonly (readonly [string, Answer, string])[] = [
  ["garbage", writes("}{ what\n"), "E_PROTOCOL"],
  ["an array", writes("[1]\n"), "E_PROTOCOL"],
  ["half a line", writes('{"ok": true, "capab'), "E_CONNECTION_LOST"],
  ["an end without a word", writes(""), "E_CONNECTION_LOST"],
  ["a reset", resets, "E_CONNECTION_LOST"],
  ["nothing", silent, "E_PEER_TIMEOUT"],
  ["more than fits", writes(`"${text(3000)}`), "E_PROTOCOL"],
];

describe("an old peer that answers badly", LIMIT, () => {
  for (const [what, answer, code] of BAD) {
    it(`fails the call with ${code} after ${what}, in time, and is asked once`, () =>
      withHosts(async (open) => {
        await using server = await lineServer(answer);
        const host = await open({ limits: { maxFrameBytes: 2048 } });
        const target = { multiaddr: server.address };
        await host.resolve(target);

        // Only what never answers may use up its time.
        const timeoutMs = answer === silent ? 1500 : 30_000;
        const call = host.rpc.call(target, toolCall, { name: "pay", args: {} }, { timeoutMs });
        await assert.rejects(call, { code });

        assert.equal(server.requests.length, 1);
      }));
  }

  it("is not sent a task twice when its answer was lost, though our own peers would be", () =>
    withHosts(async (open) => {
      await using server = await lineServer(resets);
      const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });

      await assert.rejects(queue.submit([{ type: "t", payload: {} }]), { code: "E_CONNECTION_LOST" });
      await assert.rejects(queue.claim({ workerId: "w" }), { code: "E_CONNECTION_LOST" });

      assert.deepEqual(
        server.requests.map(({ op }) => op),
        ["submit", "claim"],
      );
    }));

  it("is asked again for what does no harm", () =>
    withHosts(async (open) => {
      let asked = 0;
      await using server = await lineServer((request, stream) =>
        ++asked === 1 ? resets(request, stream) : { ok: true, task: null },
      );
      const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });

      assert.equal(await queue.get("a"), undefined);
      assert.equal(asked, 2);
    }));

  it("fails a call of the other dialect too, which is made once", () =>
    withHosts(async (open) => {
      await using server = await sessionServer(resets);
      const { rpc } = await open();

      const call = rpc.call({ multiaddr: server.address }, toolCall, { name: "pay", args: {} });
      await assert.rejects(call, { code: "E_CONNECTION_LOST" });

      assert.equal(server.requests.length, 1);
    }));

  it("is not sent a line that it would cut", () =>
    withHosts(async (open) => {
      await using server = await lineServer(oldQueue());
      const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });

      const task = { type: "t", payload: { text: text(1024 * 1024) } };
      await assert.rejects(queue.submit([task]), { code: "E_MESSAGE_TOO_LARGE" });

      assert.equal(server.requests.length, 0);
    }));

  it("gives up a claim that nobody waits for between two questions, not during one", () =>
    withHosts(async (open) => {
      await using server = await lineServer(oldQueue());
      const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });
      const controller = new AbortController();

      const claim = queue.claim({ workerId: "w", waitMs: 20_000 }, { signal: controller.signal });
      while (server.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
      controller.abort(new Error("enough"));

      await assert.rejects(claim);
      assert.equal(server.requests.length, 1);
    }));
});

describe("the shared token", LIMIT, () => {
  it("is not sent to an old peer unless that was allowed", () =>
    withHosts(async (open) => {
      await using server = await lineServer(() => ({ ok: false, error: "unauthorized" }));
      const { rpc } = await open({ sharedToken: TOKEN });

      const call = rpc.call({ multiaddr: server.address }, nodeStatus, { detail: false });
      await assert.rejects(call, { code: "E_DENIED" });

      assert.equal("token" in (server.requests[0] ?? {}), false);
    }));

  it("is not sent to a peer that nobody named", () =>
    withHosts(async (open) => {
      await using server = await lineServer(oldQueue());
      const hint = { multiaddrs: [server.address], peerId: server.peerId, method: "test" };
      const discovery: Discovery = { name: "test", find: () => Promise.resolve([hint]) };
      const { rpc } = await open({
        sharedToken: TOKEN,
        sendTokenToOldPeers: true,
        discoveries: [discovery],
      });
      const bare = server.address.slice(0, server.address.indexOf("/p2p/"));

      for (const target of [{}, { multiaddr: bare }]) await rpc.call(target, nodeStatus, { detail: false });
      assert.equal(server.lines.join("").includes(TOKEN), false);
      for (const target of [{ peerId: server.peerId }, { multiaddr: server.address }])
        await rpc.call(target, nodeStatus, { detail: false });

      assert.deepEqual(
        server.requests.map(({ token }) => token),
        [undefined, undefined, TOKEN, TOKEN],
      );
    }));

  it("is not sent to a peer that was only found, by what the node does of its own accord", () =>
    withHosts(async (open, nursery) => {
      await using server = await lineServer(oldQueue());
      const hint = { multiaddrs: [server.address], peerId: server.peerId, method: "test" };
      const discovery: Discovery = { name: "test", find: () => Promise.resolve([hint]) };
      const table = createPeerTable({ clock: systemClock });
      const allowed = { sharedToken: TOKEN, sendTokenToOldPeers: true };
      const host = await open({ ...allowed, table, discoveries: [discovery] });
      const common = { table, nursery, logger: silentLogger, ownPeerId: host.peerId };
      const connect = (peerId: string): Promise<boolean> => host.connectKnown(peerId);
      startLookout({ ...common, discoveries: host.discoveries });
      startHeartbeat({ ...common, clock: systemClock, rpc: host.rpc, intervalMs: 1000, connect });

      while (server.requests.length === 0) await sleep(20);
      await host.examine({ multiaddr: server.address.slice(0, server.address.indexOf("/p2p/")) });

      assert.ok(server.requests.length >= 2);
      assert.equal(server.lines.join("").includes(TOKEN), false);
    }));
});
