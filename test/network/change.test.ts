/** One network: its nodes find their way directly, also over IPv6 only, and when an address changes. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { whyNoNamespaces } from "../support/namespaces.ts";
import {
  addressesOf,
  finish,
  LIMIT_MS,
  LISTEN,
  pathTo,
  peerSeenBy,
  PORT,
  type Site,
  submit,
  until,
  World,
} from "./world.ts";

const skip = whyNoNamespaces() ?? false;

describe("two nodes on one network", { skip }, () => {
  let world: World;
  let owner: Site;
  let worker: Site;

  before(async () => {
    world = new World();
    const lan = world.internet.segment("lan");
    owner = await world.start(world.machine("a", lan, "10.1.0.2/24"), [...LISTEN, "--workers", "0"]);
    const address = `/ip4/10.1.0.2/tcp/${PORT}/p2p/${owner.node.peer_id}`;
    const machine = world.machine("b", lan, "10.1.0.3/24");
    worker = await world.start(machine, [...LISTEN, "--work-for", address]);
  });

  after(() => world.close());

  it("work for each other directly", { timeout: LIMIT_MS }, async () => {
    await finish(owner, {}, await submit(owner, {}, { n: 1 }));
    assert.equal(await pathTo(owner, worker.node.peer_id), "direct");
  });

  it(
    "go on, and tell the new address, when one of them gets another one",
    { timeout: LIMIT_MS },
    async (t) => {
      const { machine, node } = worker;
      machine.run("ip", "address", "delete", "10.1.0.3/24", "dev", "eth0");
      const id = await submit(owner, {}, { n: 2 });
      machine.run("ip", "address", "add", "10.1.0.77/24", "dev", "eth0");
      const changedMs = performance.now();
      await finish(owner, {}, id);
      t.diagnostic(`worked again ${Math.round(performance.now() - changedMs)} ms after the change`);
      const now = `/ip4/10.1.0.77/tcp/${PORT}/p2p/${node.peer_id}`;
      await until("the new address is told", async () => (await addressesOf(worker)).includes(now));
      assert.ok(!(await addressesOf(worker)).some((address) => address.includes("10.1.0.3/")));
      const known = async (): Promise<boolean> =>
        (await peerSeenBy(owner, node.peer_id))?.multiaddrs.includes(now) === true;
      await until("the other node knows the new address", known);
    },
  );
});

describe("two nodes on a network of IPv6 only", { skip }, () => {
  let world: World;

  before(() => {
    world = new World();
  });

  after(() => world.close());

  it("work for each other", { timeout: LIMIT_MS }, async () => {
    const listen = ["--listen", `/ip6/::/tcp/${PORT}`];
    const lan = world.internet.segment("lan");
    const owner = await world.start(world.machine("a", lan, "2001:db8::2/64"), [...listen, "--workers", "0"]);
    const address = `/ip6/2001:db8::2/tcp/${PORT}/p2p/${owner.node.peer_id}`;
    const machine = world.machine("b", lan, "2001:db8::3/64");
    const worker = await world.start(machine, [...listen, "--work-for", address]);
    await finish(
      worker,
      { remote_multiaddr: address },
      await submit(worker, { remote_multiaddr: address }, {}),
    );
    assert.equal(await pathTo(owner, worker.node.peer_id), "direct");
    assert.ok((await addressesOf(owner)).includes(address));
  });
});
