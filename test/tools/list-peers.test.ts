import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Peer } from "../../src/peer/peer.ts";
import { TestClock } from "../support/clock.ts";
import { openSmallNode, SELF } from "../server/support.ts";

const NOW_MS = 1_700_000_000_000;
const seen: Peer = {
  peerId: "P2",
  multiaddrs: ["/ip4/127.0.0.1/tcp/1/p2p/P2"],
  method: "inbound",
  methods: ["inbound"],
  lastSeenMs: NOW_MS - 1500,
  connected: true,
};
const gone: Peer = {
  peerId: "P3",
  multiaddrs: [],
  method: "bootstrap",
  methods: ["bootstrap"],
  lastSeenMs: NOW_MS - 600_000,
  connected: false,
};
const self: Peer = { ...seen, peerId: SELF };
const found: Peer = {
  peerId: "P9",
  multiaddrs: ["/ip4/127.0.0.1/tcp/9"],
  method: "announce-file",
  methods: ["announce-file"],
  connected: false,
};

describe("list_peers", () => {
  it("shows who was heard from, when, and whether it still counts as alive, but never itself", async () => {
    await using node = await openSmallNode({
      peers: [self, seen, gone],
      discoverable: [found],
      clock: new TestClock(NOW_MS),
    });
    const { peers, count, self_peer_id: me, listen_port: port } = await node.call("list_peers");
    assert.deepEqual([count, me, port], [2, SELF, 9710]);
    assert.deepEqual(peers, [
      {
        peer_id: "P2",
        multiaddr: "/ip4/127.0.0.1/tcp/1/p2p/P2",
        multiaddrs: ["/ip4/127.0.0.1/tcp/1/p2p/P2"],
        method: "inbound",
        methods: ["inbound"],
        connected: true,
        last_seen: NOW_MS / 1000 - 1.5,
        age_s: 1.5,
        alive: true,
      },
      {
        peer_id: "P3",
        multiaddrs: [],
        method: "bootstrap",
        methods: ["bootstrap"],
        connected: false,
        last_seen: NOW_MS / 1000 - 600,
        age_s: 600,
        alive: false,
      },
    ]);
  });

  it("looks for peers when it knows none, unless it is told not to", async () => {
    await using node = await openSmallNode({ peers: [self], discoverable: [self, found] });
    const { peers } = await node.call("list_peers");
    const row = { peer_id: "P9", multiaddr: "/ip4/127.0.0.1/tcp/9", multiaddrs: ["/ip4/127.0.0.1/tcp/9"] };
    assert.deepEqual(peers, [
      { ...row, method: "announce-file", methods: ["announce-file"], connected: false, discovered: true },
    ]);
    assert.equal((await node.call("list_peers", { discover: false }))["count"], 0);
  });

  it("says of each peer what it can do, or why it did not say", async () => {
    await using node = await openSmallNode({ peers: [seen] });
    const { ok, peers } = await node.call("list_peers", { include_capabilities: true });
    assert.equal(ok, true);
    assert.ok(Array.isArray(peers));
    assert.deepEqual([peers[0].capabilities, peers[0].capabilities_error], [undefined, "nobody at P2"]);
  });
});
