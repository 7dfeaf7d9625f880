import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  cancelScope,
  CancelScope,
  Limiter,
  moveOnAfter,
  openNursery,
  sleep,
} from "../../src/nursery/index.ts";
import { settled } from "../support/clock.ts";
import { boom, isCutShort, took, virtual } from "./support.ts";

describe("a limiter", () => {
  it("lets no more than its limit work at once, and all in the end", () =>
    virtual(async () => {
      const limiter = new Limiter(3);
      let [working, most, done] = [0, 0, 0];
      const work = async (): Promise<void> => {
        most = Math.max(most, ++working);
        await sleep(10);
        working--;
        done++;
      };
      const waited = await took(() =>
        openNursery((nursery) => {
          for (let i = 0; i < 9; i++) nursery.startSoon(() => limiter.run(work));
        }),
      );
      assert.deepEqual([most, done, waited, limiter.available], [3, 9, 30, 3]);
    }));

  it("serves in the order of coming, and lets nobody overtake a permit that was just freed", async () => {
    const limiter = new Limiter(1);
    const record: string[] = [];
    await openNursery(async (nursery) => {
      const first = await limiter.acquire();
      for (const who of ["a", "b", "c"]) nursery.startSoon(() => limiter.run(() => record.push(who)));
      await settled();
      assert.equal(limiter.waiting, 3);
      first.release();
      assert.equal(limiter.tryAcquire(), undefined);
      nursery.startSoon(() => limiter.run(() => record.push("d")));
    });
    assert.deepEqual(record, ["a", "b", "c", "d"]);
  });

  it("gets its permit back when the work fails, once, and from `using`", async () => {
    const limiter = new Limiter(2);
    await assert.rejects(
      limiter.run(() => boom("work")),
      /work/,
    );
    const permit = await limiter.acquire();
    permit.release();
    permit.release();
    {
      using _held = await limiter.acquire();
      assert.equal(limiter.available, 1);
    }
    assert.equal(limiter.available, 2);
  });

  it("loses no permit to a cancelled wait", () =>
    virtual(async () => {
      const limiter = new Limiter(1);
      const held = await limiter.acquire();
      assert.equal((await moveOnAfter(10, () => limiter.acquire())).ok, false);
      assert.equal(limiter.waiting, 0);
      held.release();
      assert.equal(limiter.available, 1);
    }));

  it("gives the permit back that came just before the cancellation", async () => {
    const limiter = new Limiter(1);
    const scope = new CancelScope();
    await openNursery(async (nursery) => {
      const held = await limiter.acquire();
      nursery.startSoon(() => scope.run(() => limiter.run(() => sleep(1000))));
      await settled();
      held.release();
      scope.cancel();
    });
    assert.deepEqual([scope.cancelledCaught, limiter.available], [true, 1]);
  });

  it("gives nothing in a cancelled scope", async () => {
    const limiter = new Limiter(1);
    await cancelScope(async (scope) => {
      scope.cancel();
      await isCutShort(limiter.acquire());
    });
    assert.equal(limiter.available, 1);
  });

  it("refuses a limit that is none", () => {
    for (const limit of [0, -1, 1.5, Number.NaN]) assert.throws(() => new Limiter(limit), RangeError);
  });
});
