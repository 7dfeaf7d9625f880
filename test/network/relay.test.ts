/** Two nodes behind different NATs, and a relay that both can reach. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import * as z from "zod";
import { whyNoNamespaces } from "../support/namespaces.ts";
import {
  addressesOf,
  finish,
  LIMIT_MS,
  LISTEN,
  pathTo,
  pause,
  PORT,
  type Site,
  submit,
  until,
  World,
} from "./world.ts";

const PIECES = 16;
const PIECE_BYTES = 4 * 1024 * 1024;
/** A busy machine takes its time to encrypt 64 MiB four times. */
const TRANSFER_LIMIT_MS = 300_000;
const RELAY = [...LISTEN, "--relay", "--workers", "0"];

describe("two nodes behind NATs with a relay", { skip: whyNoNamespaces() ?? false }, () => {
  let world: World;
  let relay: Site;
  let owner: Site;
  let worker: Site;
  let relayAddress: string;
  let target: { readonly remote_multiaddr: string };

  before(async () => {
    world = new World();
    const wide = world.internet.segment("wan");
    relay = await world.start(world.machine("r", wide, "45.10.0.1/24"), RELAY);
    relayAddress = `/ip4/45.10.0.1/tcp/${PORT}/p2p/${relay.node.peer_id}`;
    const place = [...LISTEN, "--relay-via", relayAddress];
    const ownerMachine = world.home("a", wide, "10.1.0", "45.10.0.11");
    owner = await world.start(ownerMachine, [...place, "--workers", "0"]);
    target = { remote_multiaddr: `${relayAddress}/p2p-circuit/p2p/${owner.node.peer_id}` };
    const workerMachine = world.home("b", wide, "10.2.0", "45.10.0.12");
    worker = await world.start(workerMachine, [...place, "--work-for", target.remote_multiaddr]);
  });

  after(() => world.close());

  it(
    "submit and complete a hundred tasks, and say that they are relayed",
    { timeout: LIMIT_MS },
    async () => {
      const ids = await Promise.all(
        Array.from({ length: 100 }, (_, number) => submit(worker, target, { number })),
      );
      const results = await Promise.all(ids.map((id) => finish(worker, target, id)));
      assert.equal(new Set(results.map((result) => JSON.stringify(result))).size, 100);
      assert.equal(await pathTo(worker, owner.node.peer_id), "relayed");
      assert.equal(await pathTo(owner, worker.node.peer_id), "relayed");
      assert.equal(await pathTo(owner, relay.node.peer_id), "direct");
    },
  );

  it("pass 64 MiB through the relay in 16 pieces, all bytes", { timeout: TRANSFER_LIMIT_MS }, async (t) => {
    const bytes = randomBytes(PIECES * PIECE_BYTES);
    const arrived = createHash("sha256");
    const startedMs = performance.now();
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const value = bytes.subarray(at, at + PIECE_BYTES).toString("base64");
      const key = `piece ${at}`;
      await worker.client.call("p2p_taskqueue_cache_set", { key, value, timeout_s: 60, ...target });
      const got = await owner.client.call("p2p_taskqueue_cache_get", { key });
      arrived.update(Buffer.from(z.object({ value: z.string() }).parse(got).value, "base64"));
      await owner.client.call("p2p_taskqueue_cache_delete", { key });
    }
    assert.equal(arrived.digest("hex"), createHash("sha256").update(bytes).digest("hex"));
    assert.equal(await pathTo(worker, owner.node.peer_id), "relayed");
    t.diagnostic(`64 MiB through the relay in ${Math.round(performance.now() - startedMs)} ms`);
  });

  it(
    "work again within 15 s after the relay was killed and started anew",
    { timeout: LIMIT_MS },
    async (t) => {
      await relay.node.kill();
      await until("the relay is missed", async () => (await pathTo(owner, relay.node.peer_id)) === undefined);
      assert.ok(!(await addressesOf(owner)).includes(target.remote_multiaddr));
      // Long enough for every retry to have reached its longest pause.
      await pause(8000);
      const id = await submit(owner, {}, { after: "the relay" });
      relay.node = await relay.machine.start(relay.folder, relay.args);
      const backMs = performance.now();
      await finish(owner, {}, id);
      const tookMs = Math.round(performance.now() - backMs);
      t.diagnostic(`work went on ${tookMs} ms after the relay was back`);
      assert.ok(tookMs < 15_000, `${tookMs} ms`);
      assert.ok((await addressesOf(owner)).includes(target.remote_multiaddr));
      assert.equal(await pathTo(owner, worker.node.peer_id), "relayed");
    },
  );
});
