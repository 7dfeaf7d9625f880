/** What a queue owner does with leases that lapsed while it was away. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { openNursery } from "../../src/nursery/index.ts";
import { openSqliteStores } from "../../src/store/index.ts";
import { openLocalQueue } from "../../src/task/local.ts";
import type { Lease, TaskQueue } from "../../src/task/queue.ts";
import { settled, TestClock } from "../support/clock.ts";
import { tempFolder } from "./temp-folder.ts";

const LEASE_MS = 10_000;

let folder: ReturnType<typeof tempFolder>;
let clock: TestClock;
beforeEach(() => {
  folder = tempFolder();
  clock = new TestClock();
});
afterEach(() => folder[Symbol.dispose]());

/** Lets the owner live as long as `life` takes. */
async function owner<T>(life: (queue: TaskQueue) => Promise<T>): Promise<T> {
  await using stores = await openSqliteStores({ path: join(folder.path, "queue.db") });
  const outcome = Promise.withResolvers<T>();
  await openNursery(async (nursery) => {
    const local = openLocalQueue({ store: stores.tasks, nursery, clock });
    try {
      await settled();
      outcome.resolve(await life(local.queue));
    } finally {
      await local.stop();
    }
  });
  return outcome.promise;
}

function leaseOne(maxAttempts: number): Promise<Lease> {
  return owner(async (queue) => {
    await queue.submit([{ type: "t", payload: {}, maxAttempts }]);
    const [claimed] = await queue.claim({ workerId: "w", leaseMs: LEASE_MS });
    assert.ok(claimed);
    return claimed.lease;
  });
}

describe("a queue owner that was away for longer than a lease", { timeout: 30_000 }, () => {
  for (const maxAttempts of [3, 1])
    it(`accepts the result of the only worker, with ${maxAttempts} attempts`, async () => {
      const lease = await leaseOne(maxAttempts);
      clock.jump(10 * LEASE_MS);
      await owner(async (queue) => {
        assert.deepEqual(await queue.claim({ workerId: "other" }), []);
        await queue.complete(lease, { late: true });
        assert.deepEqual((await queue.get(lease.taskId))?.result, { late: true });
      });
    });

  it("waits for the worker as long as its lease was, and once only", async () => {
    const { taskId } = await leaseOne(1);
    clock.jump(10 * LEASE_MS);
    await owner(async (queue) => {
      clock.jump(LEASE_MS - 1);
      await settled(10);
      assert.equal((await queue.get(taskId))?.state, "running");
    });
    clock.jump(10 * LEASE_MS);
    await owner(async (queue) => {
      await settled(10);
      assert.equal((await queue.get(taskId))?.deadLetter, true);
    });
  });
});
