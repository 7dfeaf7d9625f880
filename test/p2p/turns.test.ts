import assert from "node:assert/strict";
import { connect } from "node:net";
import { once } from "node:events";
import { describe, it } from "node:test";
import { createAuthority } from "../../src/authority/authority.ts";
import { DEFAULT_P2P_LIMITS } from "../../src/p2p/index.ts";
import { Turns } from "../../src/p2p/turns.ts";
import { addressOf, echo, hello, plainMethods, served, text, until, withHosts } from "./hosts.ts";
import { rawPeer } from "./raw-peer.ts";

const LIMIT = { timeout: 60_000 };
const MIB = 1024 * 1024;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("the requests of a peer", LIMIT, () => {
  it("begin in order and a few at a time, and its streams are read on when all have begun", async () => {
    const limits = { ...DEFAULT_P2P_LIMITS, maxBegun: 8 };
    const turns = new Turns({ limits, unsentBytes: () => 0 });
    const begun: number[] = [];
    const taker = { held: false, hold: () => (taker.held = true), goOn: () => (taker.held = false) };
    for (let i = 0; i < 20; i++) turns.take(taker, () => void begun.push(i));
    assert.equal(begun.length, 8);
    assert.ok(taker.held);
    await turn();
    assert.equal(begun.length, 16);
    while (taker.held) await turn();
    assert.deepEqual(
      begun,
      Array.from({ length: 20 }, (_, i) => i),
    );
  });

  it("are not carried out while it does not read, and all are once it does", () =>
    withHosts(async (open) => {
      let carriedOut = 0;
      const much = served({ ...echo, name: "test.much" }, () => {
        carriedOut += 1;
        return Promise.resolve({ value: text(100_000) });
      });
      await using raw = await rawPeer();
      const limits = { maxHeldBytes: MIB };
      const authority = createAuthority({ allowPeers: [raw.node.peerId.toString()] });
      const host = await open({ limits, authority, methods: [much], trustLoopback: false });
      const streams = await Promise.all([1, 2, 3, 4].map(() => raw.open(addressOf(host))));
      for (const { stream } of streams) stream.pause();
      for (let id = 0; id < 100; id++)
        for (const one of streams)
          one.send({ jsonrpc: "2.0", id, method: "mcp++/test.much", params: { value: 1 } });
      // What the network itself takes in is not counted as unsent.
      await until(() => host.stats().unsentBytes > MIB);
      for (let i = 0; i < 100; i++) await turn();
      assert.ok(carriedOut < 100, `${carriedOut} of 400`);

      for (const { stream } of streams) stream.resume();
      await until(() => streams.every(({ messages }) => messages.length === 100));
      assert.equal(carriedOut, 400);
    }));

  it("are answered behind a frame of eight megabytes that it takes its time to read", () =>
    withHosts(async (open) => {
      const large = served({ ...echo, name: "test.large" }, () => Promise.resolve({ value: text(8 * MIB) }));
      await using raw = await rawPeer();
      const authority = createAuthority({ allowPeers: [raw.node.peerId.toString()] });
      const host = await open({ authority, methods: [...plainMethods, large], trustLoopback: false });
      const asked = await raw.open(addressOf(host));
      const { stream, messages } = asked;
      stream.pause();
      asked.send({ jsonrpc: "2.0", id: 0, method: "mcp++/test.large", params: { value: 1 } });
      await until(() => host.stats().unsentBytes > 4 * MIB);
      for (let id = 1; id < 10; id++)
        asked.send({ jsonrpc: "2.0", id, method: "mcp++/test.echo", params: { value: id } });
      for (let i = 0; i < 50; i++) await turn();
      stream.resume();
      await until(() => messages.length === 10);
      assert.deepEqual(
        messages.map(({ id }) => id),
        Array.from({ length: 10 }, (_, id) => id),
      );
    }));
});

describe("sockets of one address that say nothing", LIMIT, () => {
  it("are refused beyond their number, and leave room when they are gone", () =>
    withHosts(async (open) => {
      const host = await open({ trustLoopback: false, limits: { maxAddressPending: 4 } });
      const [, , ip = "", , port = ""] = addressOf(host).split("/");
      const sockets = Array.from({ length: 12 }, () => connect(Number(port), ip));
      for (const socket of sockets) socket.on("error", () => undefined);
      const closed = sockets.map((socket) => once(socket, "close"));
      // Which of them are let in is the network's choice; eight are not.
      for (let i = 0; i < 8; i++) {
        const index = await Promise.race(closed.map(async (end, at) => end.then(() => at)));
        closed.splice(index, 1);
      }
      assert.equal(sockets.filter(({ destroyed }) => !destroyed).length, 4);
      for (const socket of sockets) socket.destroy();
      const friend = await open();
      // It is from the same address, whose places are free again.
      await until(() => sockets.every((socket) => socket.closed));
      assert.deepEqual(await friend.rpc.call({ multiaddr: addressOf(host) }, hello, { value: 1 }), {
        value: 1,
      });
    }));
});
