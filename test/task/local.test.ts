import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StoreFullError } from "../../src/errors.ts";
import { cancelScope, openNursery } from "../../src/nursery/index.ts";
import { openMemoryStores } from "../../src/store/index.ts";
import { retryDelayMs, RETRY_CAP_MS, RETRY_FLOOR_MS } from "../../src/task/backoff.ts";
import { openLocalQueue } from "../../src/task/local.ts";
import type { TaskStore } from "../../src/task/store.ts";
import { MAX_SLEEP_MS, PRUNE_BATCH, PRUNE_EVERY_MS } from "../../src/task/timekeeper.ts";
import { settled, TestClock } from "../support/clock.ts";
import { claimOne, code, submitOne, withQueue } from "./bench.ts";

const ERROR = { code: "E_TOOL_FAILED", message: "no luck", failureClass: "internal" };

/** `store` with some of its methods replaced. */
function storeWith(store: TaskStore, replaced: Partial<TaskStore>): TaskStore {
  return {
    insert: (...args) => store.insert(...args),
    claim: (...args) => store.claim(...args),
    renew: (...args) => store.renew(...args),
    note: (...args) => store.note(...args),
    settle: (...args) => store.settle(...args),
    cancel: (...args) => store.cancel(...args),
    get: (...args) => store.get(...args),
    leaseOf: (...args) => store.leaseOf(...args),
    list: (...args) => store.list(...args),
    settleDue: (...args) => store.settleDue(...args),
    stats: (...args) => store.stats(...args),
    prune: (...args) => store.prune(...args),
    ...replaced,
  };
}

describe("claims that wait in a local queue", () => {
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
          void claim.then((got) => answers.push(...got.map(({ task }) => task.workerId ?? "")), () => undefined);
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
        assert.deepEqual((await other).map(({ task }) => task.id), [second]);
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
          assert.deepEqual((await next).map(({ task }) => [task.id, task.attempt]), [[id, 1]], how);
          assert.equal(clock.now(), 0);
        },
        { wrap },
      );
    }
  });
});

describe("waits in a local queue", () => {
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

describe("the passing of time in a local queue", () => {
  for (const hours of [1, -1]) {
    it(`survives that the wall clock is set by ${hours} h`, () =>
      withQueue(async ({ queue, clock }) => {
        const id = await submitOne(queue);
        await claimOne(queue, 5000);
        clock.shiftEpoch(hours * 3_600_000);
        const from = clock.now();
        const [again] = await clock.autojump(queue.claim({ workerId: "w2", waitMs: 60_000 }));
        if (hours > 0) {
          assert.equal(again?.task.id, id);
          assert.ok(clock.now() - from <= MAX_SLEEP_MS);
        } else {
          // By the wall clock the lease has an hour to go: late, but not lost.
          assert.equal(again, undefined);
          clock.shiftEpoch(3_600_000);
          const [late] = await clock.autojump(queue.claim({ workerId: "w2", waitMs: MAX_SLEEP_MS }));
          assert.equal(late?.task.id, id);
        }
      }));
  }

  it("settles what fell due while no node was there", async () => {
    const { tasks: store } = openMemoryStores();
    const clock = new TestClock();
    let id = "";
    await withQueue(
      async ({ queue }) => {
        id = await submitOne(queue, { maxAttempts: 1 });
        await claimOne(queue, 1000);
      },
      { store, clock },
    );
    clock.jump(60_000);
    await withQueue(
      async ({ queue }) => {
        await settled();
        assert.equal((await queue.get(id))?.state, "failed");
      },
      { store, clock },
    );
  });

  it("goes on after failures of the store", async () => {
    let failures = 3;
    const wrap = (store: TaskStore): TaskStore =>
      storeWith(store, {
        settleDue: (nowMs) => (failures-- > 0 ? Promise.reject(new StoreFullError("full")) : store.settleDue(nowMs)),
      });
    await withQueue(
      async ({ queue, clock }) => {
        const id = await submitOne(queue, { maxAttempts: 1 });
        await claimOne(queue, 1000);
        const { finished } = await clock.autojump(queue.wait(id, 60_000));
        assert.equal(finished, true);
        assert.ok(clock.now() < 10_000);
      },
      { wrap },
    );
  });

  it("deletes finished tasks after their time, in batches, and no others", () =>
    withQueue(
      async ({ queue, clock }) => {
        const many = Array.from({ length: PRUNE_BATCH + 50 }, () => ({ type: "echo", payload: {} }));
        for (const { taskId } of await queue.submit(many)) await queue.cancel(taskId, "");
        const queued = await submitOne(queue);
        await settled();
        for (let ms = 0; ms < 2 * PRUNE_EVERY_MS + 60_000; ms += MAX_SLEEP_MS) {
          clock.jump(MAX_SLEEP_MS);
          await settled(2);
        }
        const { byState } = await queue.stats();
        assert.deepEqual([byState.cancelled, byState.queued], [0, 1]);
        assert.ok(await queue.get(queued));
      },
      { retentionMs: 60_000 },
    ));

  it("sleeps as long as nothing falls due", async () => {
    let asked = 0;
    const wrap = (store: TaskStore): TaskStore =>
      storeWith(store, {
        settleDue: (nowMs) => {
          asked++;
          return store.settleDue(nowMs);
        },
      });
    await withQueue(
      async ({ queue, clock }) => {
        await submitOne(queue);
        await settled();
        asked = 0;
        for (let i = 0; i < 60; i++) {
          clock.jump(1000);
          await settled(2);
        }
        assert.ok(asked <= 60_000 / MAX_SLEEP_MS, `${asked} times`);
      },
      { wrap },
    );
  });
});

describe("retries", () => {
  it("wait longer after each attempt, within bounds, and not all alike", async () => {
    assert.equal(retryDelayMs(1, () => 0), RETRY_FLOOR_MS);
    const longest = [1, 2, 3, 4, 20].map((attempt) => retryDelayMs(attempt, () => 1 - Number.EPSILON));
    assert.deepEqual(longest, [1000, 2000, 4000, 8000, RETRY_CAP_MS]);
    await withQueue(
      async ({ queue, clock }) => {
        const id = await submitOne(queue, { maxAttempts: 5 });
        const { lease } = await claimOne(queue);
        await queue.fail(lease, { error: ERROR, retry: true });
        assert.equal((await queue.get(id))?.notBeforeMs, clock.epochMs() + 750);
      },
      { random: () => 0.5 },
    );
  });
});

describe("ending a task without a token", () => {
  const completed = { kind: "completed", result: { ok: true } } as const;

  it("is accepted once, from the holder of the first lease", () =>
    withQueue(async ({ local, as }) => {
      const id = await submitOne(as("peer-a"));
      await assert.rejects(local.completeHeld("peer-a", id, completed), code("E_LEASE_LOST"));
      await claimOne(as("peer-a"));
      await assert.rejects(local.completeHeld("peer-b", id, completed), code("E_LEASE_LOST"));
      const wait = local.queue.wait(id, 60_000);
      const twice = await Promise.allSettled([
        local.completeHeld("peer-a", id, completed),
        local.completeHeld("peer-a", id, { kind: "completed", result: { other: true } }),
      ]);
      assert.deepEqual(twice.map(({ status }) => status), ["fulfilled", "rejected"]);
      assert.deepEqual((await wait).task.result, { ok: true });
      await assert.rejects(local.completeHeld("peer-a", id, completed), code("E_TASK_FINISHED"));
      await assert.rejects(local.completeHeld("peer-a", "0".repeat(32), completed), code("E_TASK_NOT_FOUND"));
    }));

  it("is refused once the task was claimed again", () =>
    withQueue(async ({ local, queue }) => {
      const id = await submitOne(queue);
      const { lease } = await claimOne(queue);
      await queue.release(lease, "");
      await claimOne(queue);
      await assert.rejects(local.completeHeld("owner", id, completed), code("E_LEASE_TOKEN_REQUIRED"));
    }));

  it("can report a failure", () =>
    withQueue(async ({ local, queue }) => {
      const id = await submitOne(queue);
      await claimOne(queue);
      await local.completeHeld("owner", id, { kind: "failed", failure: { error: ERROR } });
      assert.equal((await queue.get(id))?.state, "failed");
    }));
});

describe("stopping a local queue", () => {
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
      claim = cancelScope(() => claim).then(() => undefined, () => undefined);
      await settled();
      nursery.cancel();
    });
    await claim;
    assert.equal(clock.pending, 0);
  });
});
