/** One node behind a NAT, one with an address of its own: the relay brings them together and is then left out. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { whyNoNamespaces } from "../support/namespaces.ts";
import {
  addressesOf,
  finish,
  LIMIT_MS,
  LISTEN,
  pathTo,
  PORT,
  type Site,
  submit,
  until,
  World,
} from "./world.ts";

describe("a node behind a NAT and one in the open", { skip: whyNoNamespaces() ?? false }, () => {
  let world: World;
  let hidden: Site;
  let open: Site;
  let target: { readonly remote_multiaddr: string };

  before(async () => {
    world = new World();
    const wide = world.internet.segment("wan");
    const relay = await world.start(world.machine("r", wide, "45.10.0.1/24"), [...LISTEN, "--relay"]);
    const relayAddress = `/ip4/45.10.0.1/tcp/${PORT}/p2p/${relay.node.peer_id}`;
    const home = world.home("a", wide, "10.1.0", "45.10.0.11");
    hidden = await world.start(home, [...LISTEN, "--relay-via", relayAddress]);
    open = await world.start(world.machine("b", wide, "45.10.0.12/24"), LISTEN);
    target = { remote_multiaddr: `${relayAddress}/p2p-circuit/p2p/${hidden.node.peer_id}` };
  });

  after(() => world.close());

  it("tells its public address without being asked to", async () => {
    const own = `/ip4/45.10.0.12/tcp/${PORT}/p2p/${open.node.peer_id}`;
    assert.ok((await addressesOf(open)).includes(own));
  });

  it("get a direct connection, and no call is lost on the way", { timeout: LIMIT_MS }, async (t) => {
    const startedMs = performance.now();
    // Under way while the connection changes; the wait is one call that lasts from before it to after it.
    const id = await submit(open, target, { sleep_ms: 8000 });
    const waiting = finish(open, target, id);
    await until("a direct path", async () => (await pathTo(open, hidden.node.peer_id)) === "direct");
    t.diagnostic(`direct after ${Math.round(performance.now() - startedMs)} ms`);
    const more = Array.from({ length: 20 }, (_, number) => submit(open, target, { number }));
    const ids = await Promise.all(more);
    assert.equal(new Set(ids).size, 20);
    await Promise.all([waiting, ...ids.map((one) => finish(open, target, one))]);
    assert.equal(await pathTo(hidden, open.node.peer_id), "direct");
    assert.equal(open.node.stderr().includes('"level":50'), false, open.node.stderr());
  });
});
