/** What every engine's CacheStore must do with what other stores hold. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { CacheRecord, CacheStore } from "../../../src/cache/store.ts";
import { MAX_DRIFT_MS, stampOf, TOMBSTONE_LIFE_MS } from "../../../src/cache/version.ts";
import type { OpenBounded } from "./cache.ts";

const NOW = 1_700_000_000_000;

export function mergeConformance(open: OpenBounded): void {
  describe("merging", () => verdictConformance(open));
  describe("tombstones", () => tombstoneConformance(open));
  describe("change log", () => logConformance(open));
  describe("convergence", () => convergenceConformance(open));
}

function record(key: string, stamp: number, value?: unknown, origin = "elsewhere"): CacheRecord {
  const version = { key, stamp, origin };
  return value === undefined ? version : { ...version, entry: { value } };
}

async function valueAt(cache: CacheStore, key: string, nowMs = NOW): Promise<unknown> {
  return (await cache.get(key, nowMs))?.value;
}

/** Brings what one store holds to another, as replication does. */
async function copy(from: CacheStore, to: CacheStore, nowMs: number): Promise<void> {
  const { marks } = await from.changes(0, 1000);
  await to.merge(await from.records(await to.wanted(marks, nowMs), nowMs), nowMs);
}

function verdictConformance(open: OpenBounded): void {
  it("takes what is later and leaves what is not, and says which", async () => {
    await using stores = await open();
    const { cache } = stores;
    const stamp = await cache.set("k", "mine", undefined, NOW);
    const outcome = await cache.merge(
      [record("k", stamp - 1, "earlier"), record("new", 7, "first"), record("k", stamp + 5, "later")],
      NOW,
    );
    assert.deepEqual(outcome, { taken: 2, stale: 1, refused: 0 });
    assert.equal(await valueAt(cache, "k"), "later");
    assert.equal(await valueAt(cache, "new"), "first");
  });

  it("takes the same of two writes with the same stamp, whichever comes first", async () => {
    const pair = [record("k", 9, "by a", "a"), record("k", 9, "by b", "b")];
    for (const order of [pair, pair.toReversed()]) {
      await using stores = await open();
      for (const one of order) await stores.cache.merge([one], NOW);
      assert.equal(await valueAt(stores.cache, "k"), "by b");
    }
  });

  it("makes a write after one that was merged the later one, though the clock here is an hour behind", async () => {
    await using ahead = await open();
    await using behind = await open();
    await ahead.cache.set("k", "first", undefined, NOW + 3_600_000);
    await copy(ahead.cache, behind.cache, NOW);
    await behind.cache.set("k", "second", undefined, NOW + 1000);
    await copy(behind.cache, ahead.cache, NOW + 3_601_000);
    assert.equal(await valueAt(ahead.cache, "k"), "second");
    assert.equal(await valueAt(behind.cache, "k"), "second");
  });

  it("refuses stamps that no honest clock can have given, so that the key stays writable", async () => {
    await using stores = await open();
    const wild = record("k", stampOf(NOW + MAX_DRIFT_MS) + 1, "wild");
    assert.deepEqual(await stores.cache.merge([wild], NOW), { taken: 0, stale: 0, refused: 1 });
    assert.deepEqual(await stores.cache.wanted([wild], NOW), []);
    assert.equal(await valueAt(stores.cache, "k"), undefined);
  });

  it("gives credible stamps again after its own clock was a year ahead", async () => {
    await using stores = await open();
    await using peer = await open();
    await stores.cache.set("other", 1, undefined, NOW + 366 * 24 * 3_600_000);
    await stores.cache.set("k", "right", undefined, NOW);
    await copy(stores.cache, peer.cache, NOW);
    assert.equal(await valueAt(peer.cache, "k"), "right");
  });

  it("keeps only the version of an entry that has run out or is more than the cache holds", async () => {
    await using stores = await open({ maxEntries: 10, maxBytes: 20 });
    const { cache } = stores;
    await cache.set("k", "old", undefined, NOW);
    await cache.set("big", "old", undefined, NOW);
    const stamp = stampOf(NOW + 1);
    await cache.merge(
      [
        { ...record("k", stamp), entry: { value: "over", expiresAtMs: NOW } },
        record("big", stamp, "x".repeat(30)),
      ],
      NOW,
    );
    assert.equal(await valueAt(cache, "k"), undefined);
    assert.equal(await valueAt(cache, "big"), undefined);
    assert.deepEqual(await cache.merge([record("big", stamp - 1, "old")], NOW), {
      taken: 0,
      stale: 1,
      refused: 0,
    });
  });

  it("stays within its bounds when it takes more than it holds", async () => {
    await using stores = await open({ maxEntries: 3, maxBytes: 1000 });
    const many = Array.from({ length: 10 }, (_, i) => record(`k${i}`, 10 + i, i));
    await stores.cache.merge(many, NOW);
    assert.equal((await stores.cache.stats(NOW)).entries, 3);
    assert.equal(await valueAt(stores.cache, "k9"), 9);
  });
}

function tombstoneConformance(open: OpenBounded): void {
  it("deletes at a peer that still has the entry, also where the deleting store never had it", async () => {
    await using a = await open();
    await using b = await open();
    await a.cache.set("k", 1, undefined, NOW);
    assert.equal(await b.cache.delete("k", NOW + 1), false);
    await copy(b.cache, a.cache, NOW + 2);
    assert.equal(await valueAt(a.cache, "k", NOW + 2), undefined);
  });

  it("does not let an entry come back from a peer that missed the delete", async () => {
    await using a = await open();
    await using b = await open();
    await a.cache.set("k", 1, undefined, NOW);
    await copy(a.cache, b.cache, NOW);
    await a.cache.delete("k", NOW + 1);
    await copy(b.cache, a.cache, NOW + 2);
    assert.equal(await valueAt(a.cache, "k", NOW + 2), undefined);
  });

  it("forgets a tombstone after its life, and even then nothing comes back", async () => {
    await using a = await open();
    await using b = await open();
    await a.cache.set("k", 1, undefined, NOW);
    await copy(a.cache, b.cache, NOW);
    await a.cache.delete("k", NOW + 1);
    const laterMs = NOW + 2 + TOMBSTONE_LIFE_MS;
    await a.cache.set("other", 1, undefined, laterMs);
    assert.equal((await a.cache.stats(laterMs)).tombstones, 0);
    await copy(b.cache, a.cache, laterMs);
    assert.equal(await valueAt(a.cache, "k", laterMs), undefined);
    await b.cache.set("k", "new", undefined, laterMs);
    await copy(b.cache, a.cache, laterMs);
    assert.equal(await valueAt(a.cache, "k", laterMs), "new");
  });

  it("lets nothing come back when there were too many deletes to remember", async () => {
    await using a = await open({ maxEntries: 2, maxBytes: 1000 });
    await using b = await open();
    await a.cache.set("k", 1, undefined, NOW);
    await copy(a.cache, b.cache, NOW);
    for (const [i, key] of ["k", "x", "y", "z"].entries()) await a.cache.delete(key, NOW + 1 + i);
    assert.equal((await a.cache.stats(NOW + 9)).tombstones, 2);
    await copy(b.cache, a.cache, NOW + 9);
    assert.equal(await valueAt(a.cache, "k", NOW + 9), undefined);
  });
}

function logConformance(open: OpenBounded): void {
  it("has each key once, at its last change, in pages", async () => {
    await using stores = await open();
    const { cache } = stores;
    for (const key of ["a", "b", "a", "c"]) await cache.set(key, 1, undefined, NOW);
    await cache.delete("b", NOW);
    const first = await cache.changes(0, 2);
    assert.deepEqual(
      first.marks.map(({ key }) => key),
      ["a", "c"],
    );
    assert.equal(first.more, true);
    const second = await cache.changes(first.next, 2);
    assert.deepEqual(
      second.marks.map(({ key, origin }) => [key, origin]),
      [["b", cache.origin]],
    );
    assert.equal(second.more, false);
    assert.deepEqual(await cache.changes(second.next, 2), { marks: [], next: second.next, more: false });
  });

  it("shows a key that is written again to whoever has read up to its end", async () => {
    await using stores = await open();
    await stores.cache.set("k", 1, undefined, NOW);
    const { next } = await stores.cache.changes(0, 10);
    await stores.cache.set("k", 2, undefined, NOW);
    assert.equal((await stores.cache.changes(next, 10)).marks.length, 1);
  });

  it("has a name of its own", async () => {
    await using a = await open();
    await using b = await open();
    assert.notEqual(a.cache.origin, b.cache.origin);
  });
}

interface Op {
  readonly node: number;
  readonly key: string;
  /** Undefined deletes. */
  readonly value: number | undefined;
}

interface Delivery {
  readonly from: number;
  readonly to: number;
}

const NODES = 3;
const node = fc.nat({ max: NODES - 1 });
const step: fc.Arbitrary<Op | Delivery> = fc.oneof(
  fc.record({
    node,
    key: fc.constantFrom("a", "b", "c"),
    value: fc.option(fc.nat(), { nil: undefined }),
  }),
  fc.record({ from: node, to: node }),
);

function convergenceConformance(open: OpenBounded): void {
  it("ends in the same state everywhere, whatever came in which order, how often and by which clocks", async () => {
    const skews = fc.tuple(
      fc.constant(0),
      fc.integer({ min: -3600, max: 3600 }),
      fc.constantFrom(-3600, 3600),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        skews,
        fc.infiniteStream(fc.nat()),
        converges(open),
      ),
      { numRuns: 40, seed: 7 },
    );
  });
}

function converges(
  open: OpenBounded,
): (steps: readonly (Op | Delivery)[], skews: readonly number[], picks: Iterable<number>) => Promise<void> {
  return async (steps, skews, picks) => {
    const stores = await Promise.all(skews.map(() => open()));
    try {
      const caches = stores.map(({ cache }) => cache);
      const nowAt = (i: number, ms: number): number => NOW + ms + (skews[i] ?? 0) * 1000;
      const written: CacheRecord[] = [];
      for (const [ms, one] of steps.entries()) await take(caches, one, (i) => nowAt(i, ms), written);
      // Everything that was ever written arrives again, at each node in another order.
      const choice = picks[Symbol.iterator]();
      for (const [i, cache] of caches.entries()) {
        for (const late of shuffled(written, choice)) await cache.merge([late], nowAt(i, steps.length));
      }
      const states = await Promise.all(caches.map((cache) => stateOf(cache, NOW)));
      for (const state of states) assert.deepEqual(state, states[0]);
    } finally {
      for (const opened of stores) await opened.close();
    }
  };
}

async function take(
  caches: readonly CacheStore[],
  one: Op | Delivery,
  nowAt: (i: number) => number,
  written: CacheRecord[],
): Promise<void> {
  const cache = caches["node" in one ? one.node : one.from];
  if (!cache) return;
  if ("to" in one) {
    const to = caches[one.to];
    if (to) await copy(cache, to, nowAt(one.to));
    return;
  }
  if (one.value === undefined) await cache.delete(one.key, nowAt(one.node));
  else await cache.set(one.key, one.value, undefined, nowAt(one.node));
  written.push(...(await cache.records([one.key], nowAt(one.node))));
}

function shuffled(records: readonly CacheRecord[], choice: Iterator<number>): CacheRecord[] {
  const left = [...records];
  return records.flatMap(() => {
    const pick: unknown = choice.next().value;
    return left.splice((typeof pick === "number" ? pick : 0) % left.length, 1);
  });
}

async function stateOf(cache: CacheStore, nowMs: number): Promise<readonly CacheRecord[]> {
  return cache.records(["a", "b", "c"], nowMs);
}
