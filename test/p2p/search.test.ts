import assert from "node:assert/strict";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { multiaddr } from "@multiformats/multiaddr";
import { openHost } from "../../src/nursery/index.ts";
import { classOf } from "../../src/p2p/address-scope.ts";
import { AddressBackoff } from "../../src/p2p/address-backoff.ts";
import { causeOf } from "../../src/p2p/dial-cause.ts";
import { newIdentity, type P2pHost, peerIdOf } from "../../src/p2p/index.ts";
import { inOrder } from "../../src/p2p/order.ts";
import { firstOf } from "../../src/p2p/staggered.ts";
import type { Discovery } from "../../src/peer/discovery.ts";
import { createPeerTable } from "../../src/peer/table.ts";
import { settled, TestClock } from "../support/clock.ts";
import { addressOf, echo, once, plainMethods, until, withHosts } from "./hosts.ts";
import { rawPeer } from "./raw-peer.ts";

const LIMIT = { timeout: 60_000 };

/** A discovery that has the same answer to everything. */
function hinting(name: string, peerId: string, ...multiaddrs: string[]): Discovery {
  return { name, find: () => Promise.resolve([{ peerId, multiaddrs, method: name }]) };
}

/** A TCP port where connections are accepted and nobody speaks. */
async function silentPort(): Promise<{ readonly port: number } & AsyncDisposable> {
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((socket) => sockets.add(socket.on("error", () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Where nobody listens: a port that was just given back. */
async function deadPort(): Promise<number> {
  await using silent = await silentPort();
  return silent.port;
}

async function none(): Promise<undefined> {
  return Promise.resolve(undefined);
}

/** Names of mechanisms, ordered as `wanted`. */
function names(wanted: readonly string[]): readonly string[] {
  const sources = ["own", "dht", "known", "bootstrap", "announce-file", "rendezvous"];
  return inOrder(
    sources.map((name) => ({ name })),
    wanted,
  ).map(({ name }) => name);
}

function coded(code: string): Error {
  return Object.assign(new Error("no"), { code });
}

function call(host: P2pHost, peerId: string): Promise<unknown> {
  return host.rpc.call({ peerId }, echo, { value: 1 });
}

describe("sources that are asked one after the other", () => {
  it("begin late behind one that is slow, and at once behind one that has failed", async () => {
    const clock = new TestClock();
    await using host = openHost({ clock });
    const begun: string[] = [];
    const { promise, resolve } = Promise.withResolvers<string>();
    const source = (name: string, answer: Promise<string | undefined>) => () => {
      begun.push(`${name} at ${clock.now()}`);
      return answer;
    };
    const nothing = Promise.resolve(undefined);
    const search = host.nursery.run(() =>
      firstOf([source("a", nothing), source("b", promise), source("c", nothing), source("d", nothing)], 250),
    );
    await settled();
    assert.deepEqual(begun, ["a at 0", "b at 0"]);
    clock.jump(249);
    await settled();
    assert.equal(begun.length, 2);
    clock.jump(1);
    await settled();
    clock.jump(250);
    await settled();
    assert.deepEqual(begun.slice(2), ["c at 250", "d at 500"]);
    resolve("b");
    assert.equal(await search, "b");
  });

  it("end when one of them has found something, and find nothing when none has", async () => {
    const clock = new TestClock();
    await using host = openHost({ clock });
    const found = host.nursery.run(() => firstOf([() => Promise.resolve(1), () => Promise.resolve(2)], 250));
    assert.equal(await found, 1);
    assert.equal(await host.nursery.run(() => firstOf([none, none], 250)), undefined);
    assert.equal(clock.now(), 0);
    assert.equal(clock.pending, 0);
  });
});

describe("the order of a search", () => {
  it("is what is cheap first, what nobody named last, or what the configuration says", () => {
    assert.deepEqual(names([]), ["known", "announce-file", "bootstrap", "rendezvous", "dht", "own"]);
    assert.deepEqual(names(["dht", "own", "nobody"]), [
      "dht",
      "own",
      "known",
      "announce-file",
      "bootstrap",
      "rendezvous",
    ]);
  });
});

describe("an address", () => {
  it("leads to this machine, the network around it, the internet or a relay", () => {
    const classes = [
      ["/ip4/127.0.0.1/tcp/1", "loopback"],
      ["/ip6/::1/tcp/1", "loopback"],
      ["/ip4/10.1.2.3/tcp/1", "lan"],
      ["/ip4/172.20.0.1/tcp/1/ws", "lan"],
      ["/ip4/172.32.0.1/tcp/1", "public"],
      ["/ip4/100.64.0.9/tcp/1", "lan"],
      ["/ip6/fe80::1/tcp/1", "lan"],
      ["/ip6/fd00::1/tcp/1", "lan"],
      ["/ip6/2001:db8::1/tcp/1", "public"],
      ["/dns4/example.org/tcp/1", "public"],
      ["/dns/printer.local/tcp/1", "lan"],
      ["/ip4/10.1.2.3/tcp/1/p2p/12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo/p2p-circuit", "relay"],
    ] as const;
    for (const [text, expected] of classes) assert.equal(classOf(multiaddr(text)), expected, text);
  });

  it("that fails is left for last for a while, longer each time, until it has led somewhere", () => {
    const clock = new TestClock();
    const backoff = new AddressBackoff(clock);
    assert.equal(backoff.isBackedOff("/a"), false);
    backoff.failed("/a");
    clock.jump(1999);
    assert.equal(backoff.isBackedOff("/a"), true);
    clock.jump(1);
    assert.equal(backoff.isBackedOff("/a"), false);
    backoff.failed("/a");
    clock.jump(3999);
    assert.equal(backoff.isBackedOff("/a"), true);
    backoff.succeeded("/a");
    assert.equal(backoff.isBackedOff("/a"), false);
  });

  it("fails with a cause that has a name", () => {
    assert.equal(causeOf(coded("ECONNREFUSED"), "connect", false), "refused");
    assert.equal(causeOf(new AggregateError([coded("ENETUNREACH")]), "connect", false), "no-route");
    assert.equal(causeOf(new Error("x", { cause: coded("EAI_AGAIN") }), "connect", false), "dns-failed");
    assert.equal(causeOf(new Error("garbage"), "handshake", false), "handshake-failed");
    assert.equal(causeOf(new Error("garbage"), "handshake", true), "not-our-network");
    assert.equal(causeOf(coded("EWHATEVER"), "connect", false), "failed");
  });
});

describe("a search for a peer", LIMIT, () => {
  it("is not held up by addresses where nobody speaks, nor by a mechanism that hangs", () =>
    withHosts(async (open) => {
      await using silent = await silentPort();
      const b = await open();
      const hang: Discovery = {
        name: "announce-file",
        find: (_, signal) =>
          new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
      };
      const dark = `/ip4/127.0.0.1/tcp/${silent.port}`;
      const good = hinting("bootstrap", b.peerId, dark, addressOf(b));
      const table = createPeerTable({ clock: new TestClock() });
      table.heard(b.peerId, { multiaddrs: [`${dark}/p2p/${b.peerId}`], method: "test" });
      const a = await open({ discoveries: [hang, good], table });
      const startedAt = performance.now();
      assert.deepEqual(await call(a, b.peerId), { value: 1 });
      // The silent address alone would take 3 s, and libp2p would try it first.
      assert.ok(performance.now() - startedAt < 2900);
    }));

  it("says of each mechanism and address what came of it", () =>
    withHosts(async (open) => {
      await using silent = await silentPort();
      const [b, c] = [await open(), await open()];
      const other = addressOf(c).replace(/\/p2p\/.*/, "");
      const dead = `/ip4/127.0.0.1/tcp/${await deadPort()}`;
      const peerId = peerIdOf(await newIdentity());
      const failing: Discovery = { name: "dht", find: () => Promise.reject(new Error("no server")) };
      const a = await open({
        discoveries: [
          failing,
          hinting("bootstrap", peerId, dead, other, `/ip4/127.0.0.1/tcp/${silent.port}`),
          { name: "mdns", find: () => Promise.resolve([]) },
        ],
      });
      const { trace } = await a.examine({ peerId });
      const [bootstrap, dht, mdns] = trace.mechanisms;
      assert.deepEqual(
        [bootstrap, dht, mdns].map((row) => [row?.mechanism, row?.outcome, row?.hints]),
        [
          ["bootstrap", "unreachable", 1],
          ["dht", "failed", 0],
          ["mdns", "nothing", 0],
        ],
      );
      assert.match(dht?.detail ?? "", /no server/);
      assert.deepEqual(
        bootstrap?.dials.map((dial) => [dial.class, dial.outcome]),
        [
          ["loopback", "refused"],
          ["loopback", "wrong-peer"],
          ["loopback", "silent"],
        ],
      );
      await assert.rejects(call(a, b.peerId), { code: "E_UNREACHABLE" });
    }));

  it("forgets where another peer answers, and keeps what led to the peer", () =>
    withHosts(async (open) => {
      const [b, c] = [await open(), await open()];
      const wrong = addressOf(c).replace(c.peerId, b.peerId);
      const table = createPeerTable({ clock: new TestClock() });
      table.heard(b.peerId, { multiaddrs: [wrong], method: "test" });
      const a = await open({ table, discoveries: [hinting("bootstrap", b.peerId, addressOf(b))] });
      assert.deepEqual(await call(a, b.peerId), { value: 1 });
      await until(() => !table.addresses(b.peerId).includes(wrong));
      assert.ok(table.addresses(b.peerId).includes(addressOf(b)));
      assert.ok(table.get(b.peerId)?.methods.includes("bootstrap"));
    }));
});

describe("a call that must not be done twice, to any peer", LIMIT, () => {
  it("is never sent to a second peer, though the first one is gone and others are there", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      let asked = 0;
      const address = await raw.serve((peer) => {
        peer.stream.addEventListener("message", () => {
          asked += 1;
          peer.stream.abort(new Error("gone"));
        });
      });
      let second = 0;
      const counting = plainMethods.map((method) => ({
        ...method,
        parse(input: unknown) {
          second += 1;
          return method.parse(input);
        },
      }));
      const b = await open({ methods: counting });
      const rawId = address.split("/p2p/")[1] ?? "";
      const a = await open({
        discoveries: [hinting("announce-file", rawId, address), hinting("mdns", b.peerId, addressOf(b))],
      });
      await assert.rejects(a.rpc.call({}, once, { value: 1 }), { code: "E_CONNECTION_LOST" });
      assert.deepEqual([asked, second], [1, 0]);
    }));
});
