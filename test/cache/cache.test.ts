import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_KEY_CHARS, MAX_VALUE_BYTES, type SharedCache } from "../../src/cache/cache.ts";
import { type LocalCache, openLocalCache } from "../../src/cache/local.ts";
import { serveCacheMethods } from "../../src/cache/methods.ts";
import { remoteCache } from "../../src/cache/remote.ts";
import { openNursery } from "../../src/nursery/index.ts";
import { openMemoryStores } from "../../src/store/index.ts";
import { TestClock } from "../support/clock.ts";
import { LoopbackRpc } from "../support/loopback-rpc.ts";

type Test = (cache: SharedCache, clock: TestClock, local: LocalCache) => Promise<void>;

async function withLocal(test: Test): Promise<void> {
  const clock = new TestClock();
  const local = openLocalCache({ store: openMemoryStores().cache, clock });
  await test(local, clock, local);
}

async function withRemote(test: Test): Promise<void> {
  await withLocal(async (_cache, clock, local) => {
    await openNursery(async (nursery) => {
      const rpc = new LoopbackRpc({ nursery, clock, methods: serveCacheMethods(local) });
      await test(remoteCache(rpc, {}, clock), clock, local);
    });
  });
}

for (const [name, open] of [
  ["a cache in this process", withLocal],
  ["a cache on a peer", withRemote],
] as const) {
  describe(name, { timeout: 30_000 }, () => {
    it("gives back what was set, also null, false and 0, with a growing version", () =>
      open(async (cache) => {
        let before = 0;
        for (const value of [null, false, 0, "", { deep: [1, { x: null }] }]) {
          const version = await cache.set("k", value);
          assert.ok(version > before);
          before = version;
          assert.deepEqual(await cache.get("k"), { value, version });
        }
        assert.equal(await cache.has("k"), true);
        assert.equal(await cache.get("other"), undefined);
        assert.equal(await cache.has("other"), false);
      }));

    it("forgets an entry when its time is up", () =>
      open(async (cache, clock) => {
        await cache.set("k", 1, 1000);
        assert.equal((await cache.get("k"))?.expiresAtMs, clock.epochMs() + 1000);
        clock.jump(999);
        assert.equal(await cache.has("k"), true);
        clock.jump(1);
        assert.equal(await cache.has("k"), false);
      }));

    it("tells whether there was something to delete, and goes on counting versions", () =>
      open(async (cache) => {
        const before = await cache.set("k", 1);
        assert.equal(await cache.delete("k"), true);
        assert.equal(await cache.delete("k"), false);
        assert.ok((await cache.set("k", 2)) > before);
      }));

    it("takes keys without the white space around them", () =>
      open(async (cache) => {
        await cache.set("  k ", 1);
        assert.equal((await cache.get("k"))?.value, 1);
      }));

    it("refuses empty and overlong keys, times that are over, and what JSON cannot hold", () =>
      open(async (cache) => {
        const wrong = [
          () => cache.get("  "),
          () => cache.has("k".repeat(MAX_KEY_CHARS + 1)),
          () => cache.set("k", 1, 0),
          () => cache.set("k", 1, -5),
          () => cache.set("k", 1, 1e15),
          () => cache.set("k", undefined),
        ];
        for (const call of wrong) await assert.rejects(call(), { code: "E_INVALID_INPUT" });
        await assert.rejects(cache.set("k", "x".repeat(MAX_VALUE_BYTES)), { code: "E_MESSAGE_TOO_LARGE" });
        assert.equal(await cache.has("k"), false);
      }));

    it("does nothing for a caller who has given up", () =>
      open(async (cache) => {
        const signal = AbortSignal.abort();
        await assert.rejects(cache.set("k", 1, undefined, { signal }), { code: "E_CANCELLED" });
        assert.equal(await cache.has("k"), false);
      }));
  });
}
