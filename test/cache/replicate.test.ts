/** Copies of a cache at peers, over real libp2p on loopback: they converge, whatever happens in between. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ReplicaStats } from "../../src/cache/cache.ts";
import { type LocalCache, openLocalCache } from "../../src/cache/local.ts";
import { remoteCache } from "../../src/cache/remote.ts";
import { EAGER_BYTES } from "../../src/cache/replica.ts";
import { serveReplicaMethods } from "../../src/cache/replica-methods.ts";
import { MAX_REPLICAS, startReplication } from "../../src/cache/replicate.ts";
import { type Clock, systemClock } from "../../src/clock.ts";
import { silentLogger } from "../../src/logger.ts";
import type { Nursery } from "../../src/nursery/index.ts";
import type { Method, PeerTarget, RpcClient, RpcOptions } from "../../src/peer/rpc.ts";
import { openMemoryStores } from "../../src/store/index.ts";
import { settled } from "../support/clock.ts";
import { LoopbackRpc } from "../support/loopback-rpc.ts";
import { eventually, openSite, rpcOf, type Site, skewed, within } from "./sites.ts";

/** Comparisons come often, so that no test waits for long. */
const COMPARE_EVERY_MS = 100;
/** Longer than any test: no comparison but the first. */
const NEVER_MS = 3_600_000;

function replicate(
  nursery: Nursery,
  from: Site,
  to: readonly Site[],
  clock: Clock = systemClock,
  compareEveryMs: number = COMPARE_EVERY_MS,
): void {
  startReplication({
    cache: from.cache,
    rpc: rpcOf(from),
    clock,
    logger: silentLogger,
    nursery,
    peers: to.map(({ target }) => target),
    compareEveryMs,
  });
}

async function replicaStats(cache: LocalCache): Promise<ReplicaStats> {
  const [stats] = (await cache.stats()).replicas;
  if (!stats) throw new Error("there is no replica");
  return stats;
}

async function valueAt({ cache }: Site, key: string): Promise<unknown> {
  return (await cache.get(key))?.value;
}

describe("copies of a cache", { timeout: 60_000, concurrency: 2 }, () => {
  it(
    "get what is written, with what is left of its time, and what is deleted",
    within(async (nursery) => {
      const [a, b] = [await openSite(nursery), await openSite(nursery)];
      replicate(nursery, a, [b]);
      await a.cache.set("k", { n: 1 }, 60_000);
      await eventually(() => b.cache.has("k"));
      const left = ((await b.cache.get("k"))?.expiresAtMs ?? 0) - Date.now();
      assert.ok(left > 30_000 && left <= 60_000, `${left} ms left`);
      await a.cache.delete("k");
      await eventually(async () => !(await b.cache.has("k")));
      assert.equal((await b.cache.stats()).tombstones, 1);
    }),
  );

  it(
    "get what was written before there was a copy, and give what they have themselves",
    within(async (nursery) => {
      const [a, b] = [await openSite(nursery), await openSite(nursery)];
      for (let i = 0; i < 600; i++) await a.cache.set(`a${i}`, i);
      await b.cache.set("of b", "b");
      replicate(nursery, a, [b]);
      await eventually(async () => (await b.cache.stats()).entries === 601);
      assert.equal(await valueAt(a, "of b"), "b");
      await eventually(async () => (await replicaStats(a.cache)).state === "current");
      const { sent, received } = await replicaStats(a.cache);
      assert.deepEqual([sent, received], [600, 1]);
    }),
  );

  it(
    "converge after a partition in which both sides wrote, and nothing that was deleted comes back",
    within(async (nursery) => {
      const [a, b] = [await openSite(nursery), await openSite(nursery)];
      replicate(nursery, a, [b]);
      for (const key of ["both", "gone at a", "gone at b", "kept"]) await a.cache.set(key, "old");
      await eventually(async () => (await b.cache.stats()).entries === 4);
      await b.close();
      await a.cache.set("both", "by a");
      await a.cache.delete("gone at a");
      await b.cache.delete("gone at b");
      await b.cache.set("only b", 1);
      // Later by any clock, and by what b knows.
      await new Promise<void>((resolve) => setTimeout(resolve, 2));
      await b.cache.set("both", "by b");
      await eventually(async () => (await replicaStats(a.cache)).state === "away");
      await b.reopen();
      await eventually(async () => (await valueAt(a, "both")) === "by b" && (await a.cache.has("only b")));
      await eventually(async () => !(await b.cache.has("gone at a")));
      for (const site of [a, b]) {
        assert.equal(await valueAt(site, "both"), "by b");
        assert.equal(await site.cache.has("gone at a"), false);
        assert.equal(await site.cache.has("gone at b"), false);
        assert.equal(await valueAt(site, "kept"), "old");
      }
    }),
  );

  it(
    "converge among three in a chain with clocks an hour apart, and the write that knew of the other one stays",
    within(async (nursery) => {
      const clocks = [skewed(3_600_000), skewed(0), skewed(-3_600_000)] as const;
      const [a, b, c] = [
        await openSite(nursery, clocks[0]),
        await openSite(nursery, clocks[1]),
        await openSite(nursery, clocks[2]),
      ];
      replicate(nursery, a, [b], clocks[0]);
      replicate(nursery, b, [c], clocks[1]);
      await a.cache.set("k", "by the clock ahead");
      await eventually(async () => (await valueAt(c, "k")) === "by the clock ahead");
      await c.cache.set("k", "by the clock behind", 60_000);
      await eventually(async () => (await valueAt(a, "k")) === "by the clock behind");
      assert.equal(await valueAt(b, "k"), "by the clock behind");
      await b.close();
      await c.cache.delete("k");
      await b.reopen();
      await eventually(async () => !(await a.cache.has("k")));
    }),
  );

  it(
    "are brought up again when a peer comes back and has lost everything",
    within(async (nursery) => {
      const [a, b] = [await openSite(nursery), await openSite(nursery)];
      replicate(nursery, a, [b]);
      await a.cache.set("k", 1);
      await eventually(() => b.cache.has("k"));
      await b.close();
      const anew = openLocalCache({ store: openMemoryStores().cache, clock: systemClock });
      await b.reopen(anew);
      await eventually(() => anew.has("k"));
    }),
  );

  it(
    "of large values are made when caches are compared, not when they are written",
    within(async (nursery) => {
      const [a, b] = [await openSite(nursery), await openSite(nursery)];
      const large = "x".repeat(EAGER_BYTES + 1);
      replicate(nursery, a, [b], systemClock, NEVER_MS);
      await eventually(async () => (await replicaStats(a.cache)).state === "current");
      await a.cache.set("large", large);
      await a.cache.set("small", 1);
      await eventually(() => b.cache.has("small"));
      assert.equal(await b.cache.has("large"), false);
      assert.equal((await replicaStats(a.cache)).deferred, 1);
      replicate(nursery, b, [a]);
      await eventually(() => b.cache.has("large"));
      assert.equal(await valueAt(b, "large"), large);
    }),
  );

  it(
    "of values up to the limit of a frame arrive",
    within(async (nursery) => {
      const [a, b] = [await openSite(nursery), await openSite(nursery)];
      await a.cache.set("huge", "x".repeat(15 * 1024 * 1024));
      replicate(nursery, b, [a]);
      await eventually(() => b.cache.has("huge"));
      assert.equal(
        String((await remoteCache(a.host().rpc, b.target).get("huge"))?.value).length,
        15 * 1024 * 1024,
      );
    }),
  );
});

/** An {@link RpcClient} whose peer never answers, and that counts what it is asked. */
class SilentPeer implements RpcClient {
  readonly calls: string[] = [];

  call<I, O>(_target: PeerTarget, method: Method<I, O>, _input: I, options?: RpcOptions): Promise<O> {
    this.calls.push(method.name);
    return new Promise<O>((_resolve, reject) => {
      options?.signal?.addEventListener("abort", () => reject(new Error("given up")), { once: true });
    });
  }
}

describe("a writer", { timeout: 30_000 }, () => {
  it(
    "is done before any peer hears of the write",
    within(async (nursery) => {
      const clock = systemClock;
      const peer = openMemoryStores().cache;
      const rpc = new LoopbackRpc({ nursery, methods: serveReplicaMethods({ store: peer, clock }) });
      const cache = openLocalCache({ store: openMemoryStores().cache, clock });
      const begin = { cache, rpc, clock, logger: silentLogger, nursery, compareEveryMs: NEVER_MS };
      const replication = startReplication({ ...begin, peers: [{ peerId: "copy" }] });
      await eventually(async () => (await replicaStats(cache)).state === "current");
      await cache.set("k", 1);
      assert.equal(rpc.calls.get("cache.merge"), undefined);
      await eventually(async () => rpc.calls.get("cache.merge") === 1);
      replication.stop();
    }),
  );

  it(
    "does not wait for a dead peer, and what waits for that peer does not grow with the writes",
    within(async (nursery) => {
      const cache = openLocalCache({ store: openMemoryStores().cache, clock: systemClock });
      const rpc = new SilentPeer();
      const begin = { cache, rpc, clock: systemClock, logger: silentLogger, nursery };
      const replication = startReplication({ ...begin, peers: [{ peerId: "dead" }] });
      for (let i = 1; i <= 5000; i++) await cache.set("k", i);
      await settled();
      assert.deepEqual(rpc.calls, ["cache.changes"]);
      const { marks } = await cache.store.changes(0, 10_000);
      assert.equal(marks.length, 1);
      replication.stop();
    }),
  );

  it(
    "has copies at connected peers if that is wanted, at no more than the limit",
    within(async (nursery) => {
      const cache = openLocalCache({ store: openMemoryStores().cache, clock: systemClock });
      const ids = Array.from({ length: MAX_REPLICAS + 5 }, (_, i) => `peer ${i}`);
      const begin = { cache, rpc: new SilentPeer(), clock: systemClock, logger: silentLogger, nursery };
      const replication = startReplication({ ...begin, peers: [{ peerId: "fixed" }], connected: () => ids });
      await eventually(async () => (await cache.stats()).replicas.length > 1);
      const { replicas } = await cache.stats();
      assert.equal(replicas.length, MAX_REPLICAS);
      assert.equal(replicas[0]?.peer, "fixed");
      replication.stop();
    }),
  );
});
