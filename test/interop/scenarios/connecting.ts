/** Connections with Noise and Yamux, identify and ping, opened from either side. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { multiaddr } from "@multiformats/multiaddr";
import { rawPeer } from "../../p2p/raw-peer.ts";
import { startNode, temporaryFolder } from "../../support/node-process.ts";
import { LIMIT } from "../limits.ts";
import type { Foreign } from "../prepare.ts";
import { connected, identified, pinged } from "../schemas.ts";

export function connecting(foreign: Foreign): void {
  describe("connecting", () => {
    it("from there: Noise, Yamux, identify and ping at a node", LIMIT, async () => {
      using folder = temporaryFolder();
      await using there = await foreign.start();
      const node = await startNode(folder.path, ["--no-http", "--workers", "0"]);
      try {
        const at = { peer_id: node.peer_id };
        const to = { to: node.multiaddrs[0] };

        const { made_of } = await there.run("connect", to, connected);
        const { agent, protocols } = await there.run("identify", at, identified);
        const { rtt_us } = await there.run("ping", at, pinged);

        assert.match(made_of.join(" "), /noise.*yamux/);
        assert.match(agent, /libp2p/);
        for (const id of ["/mcp+p2p/1.0.0", "/ipfs-datasets/task-queue/1.0.0", "/ipfs/ping/1.0.0"])
          assert.ok(protocols.includes(id), `${id} is not among ${protocols.join(" ")}`);
        assert.equal(rtt_us.length, 3);
      } finally {
        await node.stop();
      }
    });

    it("from here: Noise, Yamux, identify and ping at a peer there", LIMIT, async () => {
      await using here = await rawPeer();
      await using there = await foreign.start({ serve: "both" });
      const identify = Promise.withResolvers<readonly string[]>();
      here.node.addEventListener("peer:identify", ({ detail }) => identify.resolve(detail.protocols));

      const connection = await here.node.dial(multiaddr(there.address));
      const protocols = await identify.promise;
      const rttMs = await here.node.services.ping.ping(connection.remotePeer);

      assert.equal(connection.remotePeer.toString(), there.peerId);
      assert.deepEqual([connection.encryption, connection.multiplexer], ["/noise", "/yamux/1.0.0"]);
      for (const id of ["/mcp+p2p/1.0.0", "/ipfs-datasets/task-queue/1.0.0"])
        assert.ok(protocols.includes(id), `${id} is not among ${protocols.join(" ")}`);
      assert.ok(rttMs >= 0);
    });

    it("from here: refuses a peer that is not the one that was named", LIMIT, async () => {
      await using here = await rawPeer();
      await using stranger = await rawPeer();
      await using there = await foreign.start();
      const wrong = `${there.address.split("/p2p/")[0]}/p2p/${stranger.node.peerId.toString()}`;

      const dial = here.node.dial(multiaddr(wrong));

      await assert.rejects(dial);
    });
  });
}
