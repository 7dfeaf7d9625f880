import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { multiaddr } from "@multiformats/multiaddr";
import { createPeerTable } from "../../src/peer/table.ts";
import { TestClock } from "../support/clock.ts";
import { addressOf, hello, until, withHosts } from "./hosts.ts";
import { rawPeer } from "./raw-peer.ts";

describe("a crowd of identities from one address", { timeout: 60_000 }, () => {
  it("gets so many connections and no more, and a peer that is connected is served", () =>
    withHosts(async (open) => {
      const host = await open({ trustLoopback: false, limits: { maxAddressConnections: 4 } });
      const friend = await open();
      const target = { multiaddr: addressOf(host) };
      await friend.rpc.call(target, hello, { value: 1 });
      const crowd = await Promise.all(Array.from({ length: 12 }, () => rawPeer()));
      try {
        const address = multiaddr(addressOf(host));
        await Promise.allSettled(
          crowd.map(({ node }) => node.dial(address, { signal: AbortSignal.timeout(5000) })),
        );
        await until(() => host.stats().connections <= 4);
        assert.deepEqual(await friend.rpc.call(target, hello, { value: 2 }), { value: 2 });
      } finally {
        await Promise.all(crowd.map(async ({ node }) => node.stop()));
      }
    }));

  it("leaves room in the table of peers, however many it has", () => {
    const table = createPeerTable({ clock: new TestClock() });
    table.heard("found", { method: "mdns", multiaddrs: ["/ip4/192.168.1.2/tcp/4001"] });
    for (let i = 0; i < 20_000; i++) {
      table.heard(`crowd ${i}`, { method: "inbound", connected: true });
      table.heard(`crowd ${i}`, { connected: false });
    }
    assert.ok(table.list().length <= 1001, `${table.list().length}`);
    assert.ok(table.get("found"));
  });
});
