/** Single flight across nodes, over real libp2p on loopback. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { remoteCache } from "../../src/cache/remote.ts";
import { suspend } from "../../src/nursery/index.ts";
import { eventually, openSite, within } from "./sites.ts";

describe("a value that is missing in the cache of another node", { timeout: 30_000 }, () => {
  it(
    "is computed once for a hundred callers on two nodes",
    within(async (nursery) => {
      const [owner, a, b] = [await openSite(nursery), await openSite(nursery), await openSite(nursery)];
      const value = Promise.withResolvers<unknown>();
      let runs = 0;
      const calls = Array.from({ length: 100 }, (_, i) => {
        const far = remoteCache((i % 2 === 0 ? a : b).host().rpc, owner.target);
        return far.getOrCompute("k", () => {
          runs += 1;
          return value.promise;
        });
      });
      await eventually(async () => (await owner.cache.stats()).waiting === 99);
      value.resolve({ n: 1 });
      const answers = await Promise.all(calls);
      assert.equal(runs, 1);
      assert.ok(answers.every((answer) => JSON.stringify(answer.value) === '{"n":1}'));
    }),
  );

  it(
    "is computed by the next in line when the node that computed it dies, long before its lease ends",
    within(async (nursery) => {
      const [owner, a, b] = [await openSite(nursery), await openSite(nursery), await openSite(nursery)];
      const begun = Promise.withResolvers<void>();
      const startedAtMs = performance.now();
      const giveUp = new AbortController();
      const first = remoteCache(a.host().rpc, owner.target).getOrCompute(
        "k",
        () => {
          begun.resolve();
          return suspend<never>((_resume, fail) => fail);
        },
        { signal: giveUp.signal },
      );
      const lost = assert.rejects(first, { code: "E_CANCELLED" });
      await begun.promise;
      const second = remoteCache(b.host().rpc, owner.target).getOrCompute("k", async () => "from b");
      await eventually(async () => (await owner.cache.stats()).waiting === 1);
      await a.close();
      assert.equal((await second).value, "from b");
      assert.ok(performance.now() - startedAtMs < 10_000);
      giveUp.abort();
      await lost;
    }),
  );
});
