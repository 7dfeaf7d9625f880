import assert from "node:assert/strict";
import { createServer } from "node:net";
import { once } from "node:events";
import { describe, it } from "node:test";
import { multiaddr } from "@multiformats/multiaddr";
import { DEFAULT_P2P_LIMITS, newIdentity, peerIdOf } from "../../src/p2p/index.ts";
import { Hearsay } from "../../src/p2p/hearsay.ts";
import { findPeers } from "../../src/p2p/find.ts";
import type { Discovery, DiscoveryTrust } from "../../src/peer/discovery.ts";
import { createPeerTable } from "../../src/peer/table.ts";
import { silentLogger } from "../../src/logger.ts";
import { TestClock } from "../support/clock.ts";
import { addressOf, hello, until, withHosts } from "./hosts.ts";
import { rawPeer, type RawStream } from "./raw-peer.ts";

const LIMIT = { timeout: 60_000 };
const at = (host: string, port: number): ReturnType<typeof multiaddr> =>
  multiaddr(`/ip4/${host}/tcp/${port}`);

const isOver = ({ stream, messages }: RawStream): boolean => messages.length > 0 || stream.status !== "open";

/** A mechanism that always names these addresses of a peer. */
function naming(
  name: string,
  trust: DiscoveryTrust | undefined,
  peerId: string,
  multiaddrs: readonly string[],
): Discovery {
  return { name, trust, find: () => Promise.resolve([{ peerId, multiaddrs, method: name }]) };
}

describe("addresses that nobody vouched for", LIMIT, () => {
  it("are dialled so often for each machine, network and mechanism, and again after a while", () => {
    const clock = new TestClock();
    const limits = { ...DEFAULT_P2P_LIMITS, hearsayHostBurst: 4, hearsayNetBurst: 6, hearsayBurst: 8 };
    const hearsay = new Hearsay({ clock, limits });
    const allowed = (name: string, host: string): number =>
      Array.from({ length: 20 }, (_, i) => hearsay.refuses(name, at(host, 1000 + i))).filter(
        (refusal) => refusal === undefined,
      ).length;
    assert.equal(allowed("rendezvous", "192.168.1.1"), 4);
    assert.equal(allowed("rendezvous", "192.168.1.2"), 2);
    assert.equal(allowed("rendezvous", "192.168.2.1"), 2);
    assert.equal(allowed("mdns", "192.168.3.1"), 4);
    // The same address once more tells nothing new.
    assert.equal(hearsay.refuses("rendezvous", at("192.168.1.1", 1000)), undefined);
    clock.jump(2000);
    assert.equal(hearsay.refuses("rendezvous", at("192.168.1.1", 2000)), undefined);
  });

  it("cost nothing if they are right, or if the owner gave them", () => {
    const limits = { ...DEFAULT_P2P_LIMITS, hearsayHostBurst: 1 };
    const hearsay = new Hearsay({ clock: new TestClock(), limits });
    hearsay.learn([naming("bootstrap", "owner", "peer", [])]);
    for (let port = 1; port < 50; port++) {
      assert.equal(hearsay.refuses("mdns", at("192.168.1.1", port)), undefined);
      hearsay.reached(at("192.168.1.1", port));
    }
    assert.equal(hearsay.refuses("mdns", at("192.168.1.1", 50)), undefined);
    assert.equal(hearsay.refuses("mdns", at("192.168.1.1", 51))?.outcome, "hearsay-limit");
    for (const name of ["bootstrap", "explicit"])
      assert.equal(hearsay.refuses(name, at("192.168.1.1", 52)), undefined);
  });

  it("are bounded also where libp2p dials by itself, as when it is told of addresses to leave a relay", () => {
    const limits = { ...DEFAULT_P2P_LIMITS, hearsayHostBurst: 3 };
    const hearsay = new Hearsay({ clock: new TestClock(), limits });
    const refused = Array.from({ length: 100 }, (_, port) => hearsay.refusesOwn(at("203.0.113.9", port + 1)));
    assert.equal(refused.filter((one) => !one).length, 3);
    const address = at("203.0.113.9", 500);
    assert.equal(hearsay.refuses("explicit", address), undefined);
    assert.equal(hearsay.refusesOwn(address), false);
  });

  it("make no node knock at all ports of a machine, and why says so", () =>
    withHosts(async (open) => {
      let knocks = 0;
      const doors = Array.from({ length: 8 }, () =>
        createServer((socket) => {
          knocks += 1;
          socket.destroy();
        }),
      );
      const addresses: string[] = [];
      for (const door of doors) {
        door.listen(0, "127.0.0.1");
        await once(door, "listening");
        const address = door.address();
        if (address !== null && typeof address === "object")
          addresses.push(`/ip4/127.0.0.1/tcp/${address.port}`);
      }
      const victim = peerIdOf(await newIdentity());
      const host = await open({
        limits: { hearsayHostBurst: 3 },
        discoveries: [naming("rendezvous", undefined, victim, addresses)],
      });
      const { trace } = await host.examine({ peerId: victim }, 3000);
      const outcomes = trace.mechanisms.flatMap(({ dials }) => dials.map(({ outcome }) => outcome));
      assert.equal(knocks, 3);
      assert.equal(outcomes.filter((outcome) => outcome === "hearsay-limit").length, 5);
      for (const door of doors) door.close();
    }));
});

describe("what anybody on the internet can write", LIMIT, () => {
  it("leads this node into no local network, and why says so", () =>
    withHosts(async (open) => {
      const [near, peerId] = [await open(), peerIdOf(await newIdentity())];
      const local = ["/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/22", "/ip6/fe80::1/tcp/22", addressOf(near)];
      const host = await open({ discoveries: [naming("dht", "public", peerId, local)] });
      const { trace } = await host.examine({ peerId }, 3000);
      const dials = trace.mechanisms.flatMap((mechanism) => mechanism.dials);
      assert.ok(dials.length >= 3);
      for (const dial of dials) assert.equal(dial.outcome, "not-believed", dial.address);
      await assert.rejects(host.rpc.call({ peerId }, hello, { value: 1 }), /written to by anybody/);
    }));

  it("does not get into the table either, from where it would be dialled as known", async () => {
    const clock = new TestClock();
    const table = createPeerTable({ clock });
    const peerId = peerIdOf(await newIdentity());
    const given = ["/ip4/10.0.0.1/tcp/22", "/ip4/203.0.113.1/tcp/4001"];
    const discoveries = [naming("github-issues", "public", peerId, given)];
    const search = { timeoutMs: 1000, limit: 10 };
    await findPeers(search, { discoveries, table, logger: silentLogger, ownPeerId: "me" });
    assert.deepEqual(table.addresses(peerId), ["/ip4/203.0.113.1/tcp/4001"]);
  });
});

describe("a stranger that this node has dialled", LIMIT, () => {
  it("has the allowance of a stranger until this node works with it", () =>
    withHosts(async (open) => {
      const host = await open({ trustLoopback: false, limits: { strangerStreams: 2 } });
      await using raw = await rawPeer();
      const address = await raw.serve(({ stream }) => stream.abort(new Error("no")));
      const opened = async (): Promise<RawStream[]> => {
        const made = await Promise.all([1, 2, 3, 4].map(() => raw.open(addressOf(host))));
        for (const one of made)
          if (one.stream.status === "open")
            one.send({ jsonrpc: "2.0", id: 1, method: "mcp++/test.hello", params: { value: 1 } });
        return made;
      };
      await host.examine({ multiaddr: address }, 3000);
      const before = await opened();
      await until(() => before.every(isOver));
      assert.equal(before.filter(({ messages }) => messages.length > 0).length, 2);
      for (const { stream } of before) stream.abort(new Error("done"));

      await host.rpc.call({ multiaddr: address }, hello, { value: 1 }).catch(() => undefined);
      const after = await opened();
      await until(() => after.every(isOver));
      assert.equal(after.filter(({ messages }) => messages.length > 0).length, 4);
    }));
});
