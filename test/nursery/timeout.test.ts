import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  cancelScope,
  failAfter,
  moveOnAfter,
  shield,
  sleep,
  sleepForever,
  TimeoutError,
} from "../../src/nursery/index.ts";
import { boom, took, virtual } from "./support.ts";

describe("moveOnAfter", () => {
  it("gives up quietly when the time is over", () =>
    virtual(async () => {
      const waited = await took(async () => {
        assert.deepEqual(await moveOnAfter(100, () => sleep(5000)), { ok: false, value: undefined });
      });
      assert.equal(waited, 100);
      assert.deepEqual(await moveOnAfter(100, () => "v"), { ok: true, value: "v" });
    }));

  it("cancels a loop of ten steps of 100 ms after 150 ms, before they are through", () =>
    virtual(async () => {
      let steps = 0;
      const outcome = await moveOnAfter(150, async () => {
        for (let i = 0; i < 10; i++) {
          await sleep(100);
          steps++;
        }
      });
      assert.deepEqual([outcome.ok, steps], [false, 1]);
    }));
});

describe("failAfter", () => {
  it("throws a TimeoutError when the time is over, and otherwise what the work gave", () =>
    virtual(async () => {
      const late = failAfter(50, () => sleep(5000));
      await assert.rejects(late, (error) => error instanceof TimeoutError && error.name === "TimeoutError");
      assert.equal(await failAfter(50, () => "v"), "v");
      await assert.rejects(
        failAfter(50, () => boom("own")),
        /^Error: own$/,
      );
    }));

  it("belongs to the outer one if that is nearer", () =>
    virtual(async () => {
      const waited = await took(() =>
        assert.rejects(
          failAfter(100, () => failAfter(1000, sleepForever)),
          /not done after 100 ms/,
        ),
      );
      assert.equal(waited, 100);
    }));
});

describe("shield", () => {
  it("lets cleanup run to its end inside a cancelled scope", () =>
    virtual(async () => {
      let flushed = false;
      await moveOnAfter(10, async () => {
        try {
          await sleepForever();
        } finally {
          await shield(1000, async () => {
            await sleep(500);
            flushed = true;
          });
        }
      });
      assert.equal(flushed, true);
    }));

  it("ends cleanup that takes longer than its limit", () =>
    virtual(async () => {
      const endless = cancelScope(async (scope) => {
        scope.cancel();
        await shield(50, sleepForever);
      });
      await assert.rejects(endless, TimeoutError);
    }));
});
