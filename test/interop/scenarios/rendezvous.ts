/** `/rendezvous/1.0.0`, with the point here and there. py-libp2p has a form of its own for it, without signatures. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import * as z from "zod";
import { startNode, temporaryFolder } from "../../support/node-process.ts";
import { hasOption, peersOf } from "../cli.ts";
import { eventually } from "../eventually.ts";
import { LONG_LIMIT } from "../limits.ts";
import type { Foreign } from "../prepare.ts";
import { connected } from "../schemas.ts";

const QUIET = ["--workers", "0", "--rendezvous-unsigned"];

const registered = z.object({ ttl_s: z.number().positive() });
const discovered = z.array(z.object({ peer_id: z.string(), multiaddrs: z.array(z.string()) }));
const known = z.record(z.string(), z.array(z.string()));
const done = z.looseObject({});

/** Why there is nothing to try with this library; false if there is. */
async function missing(foreign: Foreign): Promise<string | false> {
  if (foreign.name === "go-libp2p") return "go-libp2p has no rendezvous";
  using folder = temporaryFolder();
  return (await hasOption(folder.path, "--rendezvous")) ? false : "this product has no rendezvous yet";
}

export function rendezvous(foreign: Foreign): void {
  describe("rendezvous", () => {
    it("the point is here: those there register, find and are found", LONG_LIMIT, async (t) => {
      const why = await missing(foreign);
      if (why !== false) return t.skip(why);
      using folder = temporaryFolder();
      using other = temporaryFolder();
      const namespace = `interop-${randomUUID()}`;
      await using registering = await foreign.start();
      await using asking = await foreign.start();
      const point = await startNode(folder.path, [...QUIET, "--rendezvous-server", "--namespace", namespace]);
      const to = point.multiaddrs[0] ?? "";
      const client = await startNode(other.path, [...QUIET, "--rendezvous", to, "--namespace", namespace]);
      try {
        const at = { peer_id: point.peer_id, namespace };
        await registering.run("connect", { to }, connected);
        await asking.run("connect", { to }, connected);

        await registering.run("rendezvous_register", at, registered);
        const found = await eventually(
          t.signal,
          () => asking.run("rendezvous_discover", at, discovered),
          (peers) => peers.length >= 2,
        );
        const listed = await eventually(
          t.signal,
          () => peersOf(other.path),
          (peers) => peers.includes(registering.peerId),
        );

        const ids = found.map((peer) => peer.peer_id);
        assert.ok(ids.includes(registering.peerId) && ids.includes(client.peer_id), ids.join(" "));
        assert.ok(found.every((peer) => peer.multiaddrs.length > 0));
        assert.ok(listed.includes(registering.peerId));
        await registering.run("rendezvous_unregister", at, done);
        await eventually(
          t.signal,
          () => asking.run("rendezvous_discover", at, discovered),
          (peers) => peers.every((peer) => peer.peer_id !== registering.peerId),
        );
      } finally {
        await client.stop();
        await point.stop();
      }
    });

    it("the point is there: nodes register, and find each other", LONG_LIMIT, async (t) => {
      const why = await missing(foreign);
      if (why !== false) return t.skip(why);
      using folder = temporaryFolder();
      using other = temporaryFolder();
      const namespace = `interop-${randomUUID()}`;
      await using point = await foreign.start();
      await point.run("rendezvous_serve", {}, done);
      const args = [...QUIET, "--rendezvous", point.address, "--namespace", namespace];
      const a = await startNode(folder.path, args);
      const b = await startNode(other.path, args);
      try {
        const there = await eventually(
          t.signal,
          () => point.run("rendezvous_known", {}, known),
          (spaces) => spaces[namespace]?.length === 2,
        );
        const found = await eventually(
          t.signal,
          () => peersOf(folder.path),
          (peers) => peers.includes(b.peer_id),
        );

        assert.deepEqual(there[namespace]?.toSorted(), [a.peer_id, b.peer_id].toSorted());
        assert.ok(found.includes(b.peer_id));
      } finally {
        await b.stop();
        await a.stop();
      }
    });
  });
}
