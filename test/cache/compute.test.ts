/** Single flight: a value is computed once, near and far, and whoever computes it can be replaced. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Compute, SharedCache } from "../../src/cache/cache.ts";
import { COMPUTE_LEASE_MS } from "../../src/cache/compute.ts";
import { PICKUP_MS } from "../../src/cache/flights.ts";
import { type LocalCache, openLocalCache } from "../../src/cache/local.ts";
import { serveCacheMethods } from "../../src/cache/methods.ts";
import { remoteCache } from "../../src/cache/remote.ts";
import { isCancelled, openNursery, suspend } from "../../src/nursery/index.ts";
import { openMemoryStores } from "../../src/store/index.ts";
import { settled, TestClock } from "../support/clock.ts";
import { LoopbackRpc } from "../support/loopback-rpc.ts";

interface Ends {
  /** Two callers of one cache: on one connection each if it is far. */
  readonly a: SharedCache;
  readonly b: SharedCache;
  /** Breaks the connection of `a`; absent if there is none. */
  readonly cutA?: (() => void) | undefined;
  readonly owner: LocalCache;
  readonly clock: TestClock;
}

type Test = (ends: Ends) => Promise<void>;

async function near(test: Test): Promise<void> {
  const clock = new TestClock();
  const owner = openLocalCache({ store: openMemoryStores().cache, clock });
  await openNursery(() => test({ a: owner, b: owner, owner, clock }));
}

async function far(test: Test): Promise<void> {
  const clock = new TestClock();
  const owner = openLocalCache({ store: openMemoryStores().cache, clock });
  await openNursery(async (nursery) => {
    const methods = serveCacheMethods(owner);
    const [first, second] = [
      new LoopbackRpc({ nursery, clock, methods }),
      new LoopbackRpc({ nursery, clock, methods }),
    ];
    await test({
      a: remoteCache(first, {}, clock),
      b: remoteCache(second, {}, clock),
      cutA: () => first.cut(),
      owner,
      clock,
    });
  });
}

/** A computation that ends when it is told to. */
function gate(): {
  compute: Compute;
  begun: Promise<void>;
  open: (value: unknown) => void;
  runs: () => number;
} {
  const begun = Promise.withResolvers<void>();
  const value = Promise.withResolvers<unknown>();
  let runs = 0;
  return {
    begun: begun.promise,
    open: value.resolve,
    runs: () => runs,
    compute: (signal) => {
      runs += 1;
      begun.resolve();
      const stop = new Promise<never>((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(new Error("stopped")), { once: true });
      });
      return Promise.race([value.promise, stop]);
    },
  };
}

const never: Compute = () => suspend<never>((_resume, fail) => fail);

async function untilWaiting({ owner }: Ends, waiting: number): Promise<void> {
  while ((await owner.stats()).waiting < waiting) await settled(1);
}

for (const [name, open] of [
  ["in this process", near],
  ["of a peer", far],
] as const) {
  describe(`a value that is missing in a cache ${name}`, { timeout: 30_000 }, () => {
    it("is computed once for a hundred callers, who all get it", () =>
      open(async (ends) => {
        const work = gate();
        const calls = Array.from({ length: 100 }, (_, i) =>
          (i % 2 === 0 ? ends.a : ends.b).getOrCompute("k", work.compute),
        );
        await untilWaiting(ends, 99);
        work.open({ n: 1 });
        const answers = await Promise.all(calls);
        assert.equal(work.runs(), 1);
        assert.equal(answers.filter(({ computed }) => computed).length, 1);
        for (const { value, version } of answers) {
          assert.deepEqual(value, { n: 1 });
          assert.equal(version, answers[0]?.version);
        }
        assert.deepEqual((await ends.a.get("k"))?.value, { n: 1 });
      }));

    it("is not computed again while it holds, also if it is null, and is when its time is up", () =>
      open(async ({ a, b, clock }) => {
        const options = { ttlMs: 1000 };
        assert.equal((await a.getOrCompute("k", async () => null, options)).computed, true);
        assert.deepEqual(await b.getOrCompute("k", never), {
          value: null,
          computed: false,
          version: (await a.get("k"))?.version,
        });
        clock.jump(1000);
        assert.equal((await b.getOrCompute("k", async () => 2)).value, 2);
      }));

    it("is computed by the next in line when the first one fails, and only the first hears of it", () =>
      open(async (ends) => {
        const failure = Promise.withResolvers<never>();
        const first = ends.a.getOrCompute("k", () => failure.promise);
        await settled();
        const second = ends.b.getOrCompute("k", async () => "from b");
        await untilWaiting(ends, 1);
        failure.reject(new RangeError("no luck"));
        await assert.rejects(first, RangeError);
        assert.deepEqual((await second).value, "from b");
      }));

    it("is computed by the next in line when the first one gives up", () =>
      open(async (ends) => {
        const work = gate();
        const giveUp = new AbortController();
        const first = ends.a.getOrCompute("k", work.compute, { signal: giveUp.signal });
        await work.begun;
        const second = ends.b.getOrCompute("k", async () => "from b");
        await untilWaiting(ends, 1);
        giveUp.abort();
        await assert.rejects(first, { code: "E_CANCELLED" });
        assert.equal((await second).value, "from b");
      }));

    it("is computed by the next in line when the time of the first one is up", () =>
      open(async (ends) => {
        const first = ends.a.getOrCompute("k", never, { timeoutMs: 1000 });
        await settled();
        const second = ends.b.getOrCompute("k", async () => "from b");
        await untilWaiting(ends, 1);
        const late = assert.rejects(first, { code: "E_TIMEOUT" });
        ends.clock.jump(1000);
        await late;
        assert.equal((await second).value, "from b");
      }));

    it("stays with the one who computes it for longer than a lease", () =>
      open(async (ends) => {
        const work = gate();
        const first = ends.a.getOrCompute("k", work.compute);
        await work.begun;
        const second = ends.b.getOrCompute("k", async () => "from b");
        await untilWaiting(ends, 1);
        for (let ms = 0; ms < 4 * COMPUTE_LEASE_MS; ms += 1000) {
          ends.clock.jump(1000);
          await settled();
        }
        work.open("from a");
        assert.deepEqual([(await first).value, (await second).value], ["from a", "from a"]);
      }));

    it("goes to those in line as soon as somebody sets it", () =>
      open(async (ends) => {
        const work = gate();
        const first = ends.a.getOrCompute("k", work.compute);
        await work.begun;
        const second = ends.b.getOrCompute("k", never);
        await untilWaiting(ends, 1);
        await ends.b.set("k", "set");
        assert.deepEqual((await second).value, "set");
        work.open("computed");
        assert.equal((await first).computed, true);
      }));

    it("is refused if it cannot be kept, and the next in line computes", () =>
      open(async (ends) => {
        const bad = Promise.withResolvers<unknown>();
        const first = ends.a.getOrCompute("k", () => bad.promise);
        await settled();
        const second = ends.b.getOrCompute("k", async () => "from b");
        await untilWaiting(ends, 1);
        bad.resolve(undefined);
        await assert.rejects(first, { code: "E_INVALID_INPUT" });
        assert.equal((await second).value, "from b");
        await assert.rejects(ends.a.getOrCompute("x", never, { ttlMs: -1 }), { code: "E_INVALID_INPUT" });
      }));

    it("leaves nothing behind when all have given up", () =>
      open(async (ends) => {
        const giveUp = new AbortController();
        const { signal } = giveUp;
        const calls = [1, 2, 3].map(() => ends.a.getOrCompute("k", never, { signal }));
        await untilWaiting(ends, 2);
        giveUp.abort();
        for (const call of calls) await assert.rejects(call, { code: "E_CANCELLED" });
        await settled();
        // A token may have been on its way to a caller who had just gone.
        ends.clock.jump(PICKUP_MS);
        const { computing, waiting } = await ends.owner.stats();
        assert.deepEqual([computing, waiting, ends.clock.pending], [0, 0, 0]);
      }));
  });
}

describe("a value that is missing in a cache of a peer", { timeout: 30_000 }, () => {
  it("is computed by the next in line when the connection of the first one breaks, without waiting for its lease", () =>
    far(async (ends) => {
      const work = gate();
      const first = ends.a.getOrCompute("k", work.compute);
      await work.begun;
      const second = ends.b.getOrCompute("k", async () => "from b");
      await untilWaiting(ends, 1);
      ends.cutA?.();
      assert.equal((await second).value, "from b");
      work.open("from a");
      assert.deepEqual(await first, { value: "from a", computed: true, version: undefined });
      assert.equal((await ends.b.get("k"))?.value, "from b");
    }));

  it("is computed by the next in line when the lease of a silent one ends", () =>
    near(async ({ owner, clock }) => {
      const times = { leaseMs: 1000, waitMs: 5000 };
      const silent = await owner.claim("k", times);
      assert.equal(silent.kind, "compute");
      const next = owner.claim("k", times);
      await settled();
      clock.jump(1000);
      assert.equal((await next).kind, "compute");
      if (silent.kind === "compute") {
        assert.equal(await owner.settle("k", silent.token, "late", undefined), undefined);
        assert.equal(await owner.hold("k", silent.token, times), false);
      }
      assert.equal(await owner.get("k"), undefined);
    }));

  it("does not give its waiters what another waiter may change", () =>
    near(async ({ owner }) => {
      const work = gate();
      const calls = [1, 2, 3].map(() => owner.getOrCompute("k", work.compute));
      while ((await owner.stats()).waiting < 2) await settled(1);
      work.open({ list: [1] });
      const values = (await Promise.all(calls)).map(({ value }) => value);
      assert.equal(new Set(values).size, 3);
    }));
});

describe("a computation", { timeout: 30_000 }, () => {
  it("is cancelled with the scope of its caller, which sees the cancellation and no failure", async () => {
    await near(async ({ owner }) => {
      const seen: boolean[] = [];
      await openNursery(async (nursery) => {
        const work = gate();
        nursery.startSoon(async () => {
          await owner.getOrCompute("k", work.compute).catch((error: unknown) => {
            seen.push(isCancelled(error));
            throw error;
          });
        });
        await work.begun;
        nursery.cancel("enough");
      });
      assert.deepEqual(seen, [true]);
      assert.equal((await owner.stats()).computing, 0);
    });
  });
});
