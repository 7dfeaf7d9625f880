import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { announceFileDiscovery, writeAnnounce } from "../../src/discovery/index.ts";
import { newIdentity } from "../../src/p2p/index.ts";
import { TestClock } from "../support/clock.ts";
import { addressOf, echo, hello, once, plainMethods, served, until, withHosts } from "./hosts.ts";
import { rawPeer } from "./raw-peer.ts";

const LIMIT = { timeout: 60_000 };

describe("a link that breaks during a call", LIMIT, () => {
  it("is replaced for an idempotent call, and fails one that may have been carried out", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      let streams = 0;
      const address = await raw.serve((peer) => {
        const breaks = ++streams % 2 === 1;
        peer.stream.addEventListener("message", () => {
          if (breaks) peer.stream.abort(new Error("gone"));
          else peer.send({ jsonrpc: "2.0", id: peer.messages[0]?.["id"], result: { value: streams } });
        });
      });
      const host = await open();

      assert.deepEqual(await host.rpc.call({ multiaddr: address }, echo, { value: 1 }), { value: 2 });
      assert.equal(streams, 2);

      const other = await open();
      await assert.rejects(other.rpc.call({ multiaddr: address }, once, { value: 1 }), {
        code: "E_CONNECTION_LOST",
      });
      assert.equal(streams, 3);
    }));

  it("is tried again once only", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      let streams = 0;
      const address = await raw.serve((peer) => {
        streams += 1;
        peer.stream.addEventListener("message", () => peer.stream.abort(new Error("gone")));
      });
      const host = await open();
      await assert.rejects(host.rpc.call({ multiaddr: address }, echo, { value: 1 }), {
        code: "E_CONNECTION_LOST",
      });
      assert.equal(streams, 2);
    }));

  it("cancels what its calls had begun at the other side", () =>
    withHosts(async (open) => {
      const aborted = Promise.withResolvers<void>();
      let begun = false;
      const method = served(once, async (input, { signal }) => {
        begun = true;
        signal.addEventListener("abort", () => aborted.resolve());
        await aborted.promise;
        return input;
      });
      const [a, b] = [await open(), await open({ methods: [method] })];
      const call = a.rpc.call({ multiaddr: addressOf(b) }, once, { value: 1 });
      const failed = assert.rejects(call, { code: "E_CONNECTION_LOST" });
      await until(() => begun);
      await a.close();
      await failed;
      await aborted.promise;
    }));
});

describe("a link", LIMIT, () => {
  it("closes when it is idle, but not while a call is under way, and opens again", () =>
    withHosts(async (open) => {
      const [clockA, clockB] = [new TestClock(), new TestClock()];
      const { promise: gate, resolve: release } = Promise.withResolvers<void>();
      const b = await open({
        clock: clockB,
        methods: [served(echo, (input) => gate.then(() => input)), ...plainMethods.slice(1)],
      });
      // A peer that is asked for a sign of life is not idle either.
      const a = await open({ clock: clockA, limits: { idleMs: 1000, silentMs: 1e9 } });
      const target = { multiaddr: addressOf(b) };
      const slow = a.rpc.call(target, echo, { value: 1 }, { timeoutMs: 1e9 });
      await until(() => b.stats().serving === 1);

      clockA.jump(10_000);
      assert.equal(a.stats().links, 1);
      release();
      await slow;
      clockA.jump(999);
      assert.equal(a.stats().links, 1);
      clockA.jump(1000);
      assert.equal(a.stats().links, 0);
      await until(() => b.stats().inboundStreams === 0);

      assert.deepEqual(await a.rpc.call(target, hello, { value: 2 }), { value: 2 });
      assert.equal(a.stats().connections, 1);
    }));

  it("is closed by the server too when nobody uses it", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const clock = new TestClock();
      const host = await open({ clock });
      const stream = await raw.open(addressOf(host));
      await until(() => host.stats().inboundStreams === 1);
      clock.jump(7 * 60_000);
      await until(() => stream.stream.readableEnded);
      clock.jump(5000);
      await until(() => host.stats().inboundStreams === 0);
    }));

  it("finds its peer again after that was restarted at another port", () =>
    withHosts(async (open) => {
      const folder = await mkdtemp(join(tmpdir(), "mcpp-links-"));
      try {
        const file = join(folder, "announce.json");
        const privateKey = await newIdentity();
        const first = await open({ privateKey });
        await writeAnnounce(file, { peerId: first.peerId, multiaddrs: first.multiaddrs() });
        const a = await open({ discoveries: [announceFileDiscovery([file])] });
        const target = { peerId: first.peerId };
        assert.deepEqual(await a.rpc.call(target, once, { value: 1 }), { value: 1 });

        const before = first.multiaddrs();
        await first.close();
        const second = await open({ privateKey });
        assert.notDeepEqual(second.multiaddrs(), before);
        await writeAnnounce(file, { peerId: second.peerId, multiaddrs: second.multiaddrs() });

        assert.deepEqual(await a.rpc.call(target, once, { value: 2 }), { value: 2 });
        assert.deepEqual(await a.rpc.call({}, once, { value: 3 }), { value: 3 });
        assert.equal(await a.resolve({}), second.peerId);
      } finally {
        await rm(folder, { recursive: true });
      }
    }));
});

describe("a host", LIMIT, () => {
  it("knows who it is connected to, how far they are, and who is announced", () =>
    withHosts(async (open) => {
      const b = await open();
      const hint = { peerId: b.peerId, multiaddrs: b.multiaddrs(), method: "test" };
      const a = await open({ discoveries: [{ name: "test", find: () => Promise.resolve([hint]) }] });
      const [heard] = await a.findPeers({ timeoutMs: 1000, limit: 5 });
      assert.equal(heard?.connected, false);
      assert.equal(heard?.method, "test");

      assert.ok((await a.ping(b.peerId)) >= 0);

      const [known] = await a.findPeers({ timeoutMs: 1000, limit: 5 });
      assert.equal(known?.connected, true);
      assert.equal(known?.path, "direct");
      assert.ok(known?.rttMs !== undefined);
      assert.equal((await a.findPeers({ methods: ["none"], timeoutMs: 1000, limit: 5 })).length, 0);
    }));

  it("listens on WebSocket where it is told to, and calls over it", () =>
    withHosts(async (open) => {
      const b = await open({ listen: ["/ip4/127.0.0.1/tcp/0/ws"] });
      const a = await open();
      // A WebSocket may come through a proxy, so loopback says nothing there.
      assert.deepEqual(await a.rpc.call({ multiaddr: addressOf(b) }, hello, { value: 1 }), { value: 1 });
      await assert.rejects(a.rpc.call({ multiaddr: addressOf(b) }, echo, { value: 1 }), { code: "E_DENIED" });
    }));

  it("says which address it cannot listen on", () =>
    withHosts(async (open) => {
      const b = await open();
      const taken = addressOf(b).replace(/\/p2p\/.*/, "");
      await assert.rejects(open({ listen: [taken] }), { code: "E_INVALID_INPUT" });
      await assert.rejects(open({ listen: ["nonsense"] }), { code: "E_INVALID_INPUT" });
    }));

  it("closes twice like once, refuses calls afterwards, and leaves nothing open", async () => {
    const before = process.getActiveResourcesInfo().filter((kind) => kind.startsWith("TCP")).length;
    await withHosts(async (open) => {
      const [a, b] = [await open(), await open()];
      const target = { multiaddr: addressOf(b) };
      await a.rpc.call(target, echo, { value: 1 });
      await a.openChannel(target);
      await Promise.all([a.close(), a.close()]);
      await assert.rejects(a.rpc.call(target, echo, { value: 1 }), { code: "E_SHUTTING_DOWN" });
      await until(() => b.stats().inboundStreams === 0 && b.stats().connections === 0);
    });
    await until(
      () => process.getActiveResourcesInfo().filter((kind) => kind.startsWith("TCP")).length <= before,
    );
  });
});
