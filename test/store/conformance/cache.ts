/** What every engine's CacheStore must do. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_VALUE_BYTES } from "../../../src/cache/cache.ts";
import type { CacheBounds } from "../../../src/cache/store.ts";
import type { Stores } from "../../../src/store/index.ts";
import { mergeConformance } from "./cache-merge.ts";

/** Opens stores that start empty, whose cache has these bounds. The caller closes them. */
export type OpenBounded = (cacheBounds?: CacheBounds) => Promise<Stores>;

export function cacheStoreConformance(open: OpenBounded): void {
  describe("cache store", () => {
    describe("entries", () => entryConformance(open));
    describe("versions", () => versionConformance(open));
    describe("bounds", () => boundConformance(open));
    mergeConformance(open);
  });
}

function entryConformance(open: OpenBounded): void {
  it("gives back any JSON value, and a null is a hit", async () => {
    await using stores = await open();
    for (const value of [null, 0, "", false, [1, { a: "ü" }], { deep: [null] }]) {
      await stores.cache.set("k", value, undefined, 0);
      assert.deepEqual((await stores.cache.get("k", 0))?.value, value);
    }
    assert.equal(await stores.cache.get("other", 0), undefined);
  });

  it("does not share a value with whoever stored or read it", async () => {
    await using stores = await open();
    const value = { n: 1 };
    await stores.cache.set("k", value, undefined, 0);
    value.n = 2;
    assert.deepEqual((await stores.cache.get("k", 0))?.value, { n: 1 });
  });

  it("forgets an entry at the instant that it ends", async () => {
    await using stores = await open();
    await stores.cache.set("k", 1, 100, 0);
    assert.deepEqual(await stores.cache.get("k", 99), { value: 1, version: 1, expiresAtMs: 100 });
    assert.equal(await stores.cache.get("k", 100), undefined);
    assert.equal(await stores.cache.delete("k", 100), false);
  });

  it("deletes, and says whether there was something", async () => {
    await using stores = await open();
    await stores.cache.set("k", 1, undefined, 0);
    assert.equal(await stores.cache.delete("k", 0), true);
    assert.equal(await stores.cache.delete("k", 0), false);
    assert.equal(await stores.cache.delete("none", 0), false);
    assert.equal(await stores.cache.get("k", 0), undefined);
  });

  it("counts the entries that hold, and their bytes", async () => {
    await using stores = await open();
    await stores.cache.set("é", "ü", undefined, 0);
    await stores.cache.set("b", 12, 50, 0);
    await stores.cache.set("gone", 1, undefined, 0);
    await stores.cache.delete("gone", 0);
    assert.deepEqual(await stores.cache.stats(0), { entries: 2, bytes: 2 + 4 + 1 + 2, tombstones: 1 });
    assert.deepEqual(await stores.cache.stats(50), { entries: 1, bytes: 6, tombstones: 1 });
  });

  it("refuses what is too large or not JSON, and keeps what was there", async () => {
    await using stores = await open();
    await stores.cache.set("k", 1, undefined, 0);
    const large = "x".repeat(MAX_VALUE_BYTES - 1);
    await assert.rejects(stores.cache.set("k", large, undefined, 0), { code: "E_MESSAGE_TOO_LARGE" });
    await assert.rejects(stores.cache.set("k", undefined, undefined, 0), { code: "E_INVALID_INPUT" });
    assert.equal((await stores.cache.get("k", 0))?.value, 1);
  });
}

function versionConformance(open: OpenBounded): void {
  it("raises the version with every write, across deletes and ends", async () => {
    await using stores = await open();
    assert.equal(await stores.cache.set("k", "a", undefined, 0), 1);
    assert.equal(await stores.cache.set("k", "b", undefined, 0), 2);
    await stores.cache.delete("k", 0);
    assert.equal(await stores.cache.set("k", "c", 10, 0), 4);
    const version = await stores.cache.set("k", "d", undefined, 20);
    assert.ok(version > 4);
    assert.equal((await stores.cache.get("k", 20))?.version, version);
    assert.ok((await stores.cache.set("other", 1, undefined, 0)) > version);
  });

  it("gives concurrent writers of one key different versions", async () => {
    await using stores = await open();
    const writes = Array.from({ length: 20 }, (_, i) => stores.cache.set("k", i, undefined, 0));
    const versions = await Promise.all(writes);
    assert.deepEqual(
      versions,
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
  });

  it("never lets the version of an evicted key fall back", async () => {
    await using stores = await open({ maxEntries: 1, maxBytes: 1000 });
    await stores.cache.set("a", 1, undefined, 0);
    await stores.cache.set("a", 2, undefined, 0);
    await stores.cache.set("b", 1, undefined, 0);
    assert.equal(await stores.cache.get("a", 0), undefined);
    assert.ok((await stores.cache.set("a", 3, undefined, 0)) > 2);
  });
}

/** Which of the keys a to d are there. */
async function held({ cache }: Stores, nowMs = 0): Promise<string> {
  const hits = await Promise.all(
    ["a", "b", "c", "d"].map(async (key) => ((await cache.get(key, nowMs)) ? key : "")),
  );
  return hits.join("");
}

function boundConformance(open: OpenBounded): void {
  it("evicts what was written longest ago when there are too many entries", async () => {
    await using stores = await open({ maxEntries: 3, maxBytes: 1000 });
    for (const key of ["a", "b", "c", "a", "d"]) await stores.cache.set(key, 1, undefined, 0);
    assert.equal(await held(stores), "acd");
    assert.equal((await stores.cache.stats(0)).entries, 3);
  });

  it("evicts until the bytes fit", async () => {
    await using stores = await open({ maxEntries: 100, maxBytes: 30 });
    for (const key of ["a", "b", "c"]) await stores.cache.set(key, "xxxxxxx", undefined, 0);
    assert.equal(await held(stores), "abc");
    await stores.cache.set("d", "xxxxxxxxxxxxx", undefined, 0);
    assert.equal(await held(stores), "cd");
    await assert.rejects(stores.cache.set("a", "x".repeat(28), undefined, 0), {
      code: "E_MESSAGE_TOO_LARGE",
    });
  });

  it("lets what has run out go before what still holds", async () => {
    await using stores = await open({ maxEntries: 2, maxBytes: 1000 });
    await stores.cache.set("a", 1, undefined, 0);
    await stores.cache.set("b", 1, 10, 0);
    await stores.cache.set("c", 1, undefined, 20);
    assert.equal(await held(stores, 20), "ac");
  });

  it("bounds tombstones as well", async () => {
    await using stores = await open({ maxEntries: 2, maxBytes: 1000 });
    for (const key of ["a", "b", "c"]) {
      await stores.cache.set(key, 1, undefined, 0);
      await stores.cache.delete(key, 0);
    }
    assert.ok((await stores.cache.set("a", 1, undefined, 0)) > 2);
    assert.deepEqual(await stores.cache.stats(0), { entries: 1, bytes: 2, tombstones: 2 });
  });
}
