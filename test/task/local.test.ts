import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cancelScope, openNursery } from "../../src/nursery/index.ts";
import { openMemoryStores } from "../../src/store/index.ts";
import { openLocalQueue } from "../../src/task/local.ts";
import type { TaskStore } from "../../src/task/store.ts";
import { settled, TestClock } from "../support/clock.ts";
import { claimOne, code, storeWith, submitOne, withQueue } from "./bench.ts";

describe("claims that wait in a local queue", { timeout: 30_000 }, () => {
  it("are woken one for each task, the one that waited longest first", async () => {
    let asked = 0;
    const wrap = (store: TaskStore): TaskStore =>
      storeWith(store, {
        claim: (...args) => {
          asked++;
          return store.claim(...args);
        },
      });
    const test = withQueue(
      async ({ queue, local }) => {
        const answers: string[] = [];
        for (let i = 0; i < 100; i++) {
          const claim = queue.claim({ workerId: `w${i}`, waitMs: 60_000 });
          void claim.then(
            (got) => answers.push(...got.map(({ task }) => task.workerId ?? "")),
            () => undefined,
          );
        }
        await settled();
        asked = 0;
        await queue.submit(Array.from({ length: 3 }, () => ({ type: "echo", payload: {} })));
        await settled();
        assert.deepEqual(answers, ["w0", "w1", "w2"]);
        assert.equal(asked, 3);
        await local.stop();
      },
      { wrap },
    );
    await test;
  });

  it("all get their task when many fall due at once", () =>
    withQueue(async ({ queue, clock }) => {
      const delayed = Array.from({ length: 40 }, () => ({ type: "echo", payload: {}, delayMs: 1000 }));
      await queue.submit(delayed);
      const claims = Array.from({ length: 40 }, (_, i) => queue.claim({ workerId: `w${i}`, waitMs: 60_000 }));
      await settled();
      clock.jump(1000);
      await settled();
      const got = (await Promise.all(claims)).flatMap((some) => some.map(({ task }) => task.id));
      assert.equal(new Set(got).size, 40);
      assert.equal(clock.now(), 1000);
    }));

  it("get a task that became ready while the store was answering somebody else's", async () => {
    let release: (() => void) | undefined;
    const wrap = (store: TaskStore): TaskStore =>
      storeWith(store, {
        claim: async (...args) => {
          const got = await store.claim(...args);
          if (args[0].workerId === "slow" && release === undefined) {
            await new Promise<void>((resolve) => {
              release = resolve;
            });
          }
          return got;
        },
      });
    await withQueue(
      async ({ queue }) => {
        await submitOne(queue);
        const slow = queue.claim({ workerId: "slow", waitMs: 60_000 });
        await settled();
        const other = queue.claim({ workerId: "other", waitMs: 60_000 });
        await settled();
        // The call for this task reaches `slow`, which is about to leave with the first one.
        const second = await submitOne(queue);
        await settled();
        release?.();
        assert.equal((await slow).length, 1);
        assert.deepEqual(
          (await other).map(({ task }) => task.id),
          [second],
        );
      },
      { wrap },
    );
  });

  it("pass a call on when they get a better task instead", () =>
    withQueue(async ({ queue }) => {
      const both = queue.claim({ workerId: "both", waitMs: 60_000, types: ["x", "y"] });
      const onlyY = queue.claim({ workerId: "only-y", waitMs: 60_000, types: ["y"] });
      const onlyX = queue.claim({ workerId: "only-x", waitMs: 60_000, types: ["x"] });
      await settled();
      await Promise.all([
        queue.submit([{ type: "x", payload: {}, priority: 1 }]),
        queue.submit([{ type: "y", payload: {}, priority: 9 }]),
      ]);
      const second = queue.submit([{ type: "y", payload: {} }]);
      await settled();
      const taken = [await both, await onlyX, await onlyY].flat();
      await second;
      assert.deepEqual(taken.map(({ task }) => task.type).sort(), ["x", "y", "y"]);
    }));

  it("give tasks back that were leased after their caller had gone", async () => {
    let release: (() => void) | undefined;
    const wrap = (store: TaskStore): TaskStore =>
      storeWith(store, {
        claim: async (...args) => {
          const got = await store.claim(...args);
          if (args[0].workerId === "gone") {
            await new Promise<void>((resolve) => {
              release = resolve;
            });
          }
          return got;
        },
      });
    for (const how of ["signal", "scope"]) {
      release = undefined;
      await withQueue(
        async ({ queue, clock }) => {
          const id = await submitOne(queue);
          const controller = new AbortController();
          const gone =
            how === "signal"
              ? queue.claim({ workerId: "gone" }, { signal: controller.signal })
              : cancelScope(() => queue.claim({ workerId: "gone" }), { signal: controller.signal });
          const ended = gone.then(
            (outcome) => ("ok" in outcome ? outcome.ok : true),
            () => false,
          );
          await settled();
          const next = queue.claim({ workerId: "next", waitMs: 60_000 });
          await settled();
          controller.abort();
          release?.();
          assert.equal(await ended, false, how);
          assert.deepEqual(
            (await next).map(({ task }) => [task.id, task.attempt]),
            [[id, 1]],
            how,
          );
          assert.equal(clock.now(), 0);
        },
        { wrap },
      );
    }
  });
});

describe("waits in a local queue", { timeout: 30_000 }, () => {
  it("share one look at a task among ten thousand", async () => {
    let looks = 0;
    const wrap = (store: TaskStore): TaskStore =>
      storeWith(store, {
        get: (id) => {
          looks++;
          return store.get(id);
        },
      });
    await withQueue(
      async ({ queue }) => {
        const id = await submitOne(queue);
        const waits = Array.from({ length: 10_000 }, () => queue.wait(id, 60_000));
        await settled();
        const { lease } = await claimOne(queue);
        await queue.complete(lease, {});
        const outcomes = await Promise.all(waits);
        assert.ok(outcomes.every(({ finished }) => finished));
        assert.equal(looks, 2);
      },
      { wrap },
    );
  });

  it("set no timers but their own", () =>
    withQueue(async ({ queue, clock }) => {
      const id = await submitOne(queue);
      await settled();
      const before = clock.pending;
      const wait = queue.wait(id, 60_000);
      await settled();
      assert.equal(clock.pending, before + 1);
      await queue.cancel(id, "");
      await wait;
      assert.equal(clock.pending, before);
    }));
});

describe("stopping a local queue", { timeout: 30_000 }, () => {
  it("ends who waits, refuses new work, lets leases be settled, and leaves no timer", () =>
    withQueue(async ({ queue, local, clock }) => {
      const id = await submitOne(queue);
      const { lease } = await claimOne(queue);
      const claim = queue.claim({ workerId: "w2", waitMs: 60_000 });
      const wait = queue.wait(id, 60_000);
      const refused = [
        assert.rejects(claim, code("E_SHUTTING_DOWN")),
        assert.rejects(wait, code("E_SHUTTING_DOWN")),
      ];
      await settled();
      await local.stop();
      await local.stop();
      await Promise.all(refused);
      await assert.rejects(submitOne(queue), code("E_SHUTTING_DOWN"));
      await assert.rejects(queue.claim({ workerId: "w" }), code("E_SHUTTING_DOWN"));
      await assert.rejects(queue.wait(id, 0), code("E_SHUTTING_DOWN"));
      await queue.complete(lease, {});
      assert.equal((await queue.get(id))?.state, "completed");
      assert.equal(clock.pending, 0);
    }));

  it("also happens when its nursery is cancelled", async () => {
    const clock = new TestClock();
    let claim: Promise<unknown> = Promise.resolve();
    await openNursery(async (nursery) => {
      const { queue } = openLocalQueue({ store: openMemoryStores().tasks, nursery, clock });
      claim = assert.rejects(queue.claim({ workerId: "w", waitMs: 60_000 }), code("E_CANCELLED"));
      claim = cancelScope(() => claim).then(
        () => undefined,
        () => undefined,
      );
      await settled();
      nursery.cancel();
    });
    await claim;
    assert.equal(clock.pending, 0);
  });
});

describe("a claim of several large tasks", { timeout: 30_000 }, () => {
  it("gives so many that the answer fits into a frame", () =>
    withQueue(async ({ queue }) => {
      const big = "x".repeat(5 * 1024 * 1024);
      for (let i = 0; i < 4; i++) await submitOne(queue, { payload: { big } });
      const counts: number[] = [];
      for (;;) {
        const claimed = await queue.claim({ workerId: "w", limit: 4 });
        if (claimed.length === 0) break;
        assert.ok(Buffer.byteLength(JSON.stringify(claimed)) < 16 * 1024 * 1024);
        counts.push(claimed.length);
      }
      assert.deepEqual(counts, [1, 1, 1, 1]);
    }));
});
