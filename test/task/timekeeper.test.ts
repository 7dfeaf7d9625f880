import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StoreFullError } from "../../src/errors.ts";
import { openMemoryStores } from "../../src/store/index.ts";
import { retryDelayMs, RETRY_CAP_MS, RETRY_FLOOR_MS } from "../../src/task/backoff.ts";
import type { TaskStore } from "../../src/task/store.ts";
import { MAX_SLEEP_MS, PRUNE_BATCH, PRUNE_EVERY_MS } from "../../src/task/timekeeper.ts";
import { settled, TestClock } from "../support/clock.ts";
import { claimOne, storeWith, submitOne, withQueue } from "./bench.ts";

const ERROR = { code: "E_TOOL_FAILED", message: "no luck", failureClass: "internal" };

describe("the passing of time in a local queue", { timeout: 30_000 }, () => {
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
        settleDue: (nowMs) =>
          failures-- > 0 ? Promise.reject(new StoreFullError("full")) : store.settleDue(nowMs),
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

describe("retries", { timeout: 30_000 }, () => {
  it("wait longer after each attempt, within bounds, and not all alike", async () => {
    assert.equal(
      retryDelayMs(1, () => 0),
      RETRY_FLOOR_MS,
    );
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
