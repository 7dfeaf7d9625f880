/** What becomes of results and of work in hand when a queue, a worker or a node goes away. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { UnreachableError } from "../../src/errors.ts";
import { openHost } from "../../src/nursery/index.ts";
import type { OutboxStore } from "../../src/task/outbox.ts";
import type { TaskQueue } from "../../src/task/queue.ts";
import { MAX_RESULT_BYTES } from "../../src/task/task.ts";
import { settled } from "../support/clock.ts";
import { controlled, World } from "../support/work.ts";

const WEEK_MS = 7 * 24 * 3600 * 1000;

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

describe("a result", () => {
  it("waits in the outbox while its queue is away, and is delivered when it is back", async () => {
    const { handler, finish } = controlled();
    const worker = world.startAway([handler], { leaseMs: 600_000 });
    const id = await world.submit();
    await settled();
    world.cut();
    finish({ kept: true });
    await settled();
    world.clock.jump(4000);
    await settled(8);
    assert.equal((await world.outboxed("peer")).length, 1);
    assert.deepEqual([worker.running, worker.stats().outboxed], [0, 1]);
    world.mend();
    world.clock.jump(20_000);
    await settled(8);
    assert.deepEqual(
      [(await world.read(id)).result, (await world.outboxed("peer")).length],
      [{ kept: true }, 0],
    );
    assert.equal(worker.stats().delivered, 1);
  });

  it("is not read into memory before its turn, and its queue is tried with one only", async () => {
    const reads: string[] = [];
    const offers: string[] = [];
    const outbox: OutboxStore = {
      put: (entry) => world.stores.outbox.put(entry),
      queues: () => world.stores.outbox.queues(),
      keys: (queue, limit) => world.stores.outbox.keys(queue, limit),
      remove: (queue, lease) => world.stores.outbox.remove(queue, lease),
      get: (queue, lease) => {
        reads.push(`${queue}/${lease.taskId}`);
        return world.stores.outbox.get(queue, lease);
      },
    };
    const outcome = { kind: "completed", result: {} } as const;
    for (let n = 0; n < 500; n++) {
      const lease = { taskId: String(n), token: 1 };
      await outbox.put({
        queue: n < 400 ? "gone" : "there",
        lease,
        outcome,
        createdAtMs: world.clock.epochMs(),
      });
    }
    const there: TaskQueue = {
      ...world.queue,
      complete: async ({ taskId }) => void offers.push(taskId),
    };
    const outboxQueue = (name: string): TaskQueue => {
      if (name === "gone") throw new UnreachableError("it is gone");
      return there;
    };
    world.clock.jump(1000);
    const worker = world.start([], { outbox, outboxQueue });
    for (let i = 0; i < 60; i++) await settled();
    assert.equal(reads.filter((read) => read.startsWith("gone/")).length, 1);
    assert.deepEqual([offers.length, worker.stats().delivered], [100, 100]);
    assert.equal((await outbox.keys("gone", 999)).length, 400);
  });

  it("is dropped after a week, also while its queue is away", async () => {
    const outcome = { kind: "completed", result: {} } as const;
    const put = (taskId: string): Promise<void> =>
      world.stores.outbox.put({
        queue: "peer",
        lease: { taskId, token: 1 },
        outcome,
        createdAtMs: world.clock.epochMs(),
      });
    world.cut();
    await put("old");
    world.clock.jump(WEEK_MS / 2);
    await put("newer");
    const worker = world.startAway([]);
    await settled(8);
    assert.equal((await world.outboxed("peer")).length, 2);
    world.clock.jump(WEEK_MS / 2);
    await settled(8);
    const left = (await world.outboxed("peer")).map(({ lease }) => lease.taskId);
    assert.deepEqual([left, worker.stats().dropped], [["newer"], 1]);
  });

  it("of an earlier process is delivered by the next", async () => {
    const id = await world.submit();
    const [claimed] = await world.queue.claim({ workerId: "gone", limit: 1 });
    assert.ok(claimed);
    const outcome = { kind: "completed", result: { from: "before" } } as const;
    await world.stores.outbox.put({
      queue: "local",
      lease: claimed.lease,
      outcome,
      createdAtMs: world.clock.epochMs(),
    });
    world.start([]);
    await settled(8);
    assert.deepEqual((await world.read(id)).result, { from: "before" });
  });

  it("that the queue will never take fails the task, with the reason", async () => {
    world.start([{ type: "t", aliases: [], run: async () => ({ big: "x".repeat(MAX_RESULT_BYTES) }) }]);
    const id = await world.submit();
    await settled(8);
    const { state, error } = await world.read(id);
    assert.deepEqual([state, error?.message.startsWith("the result was refused")], ["failed", true]);
  });
});

describe("draining", () => {
  it("lets work finish in time, and claims nothing more", async () => {
    const { handler, finish, started } = controlled();
    const worker = world.start([handler]);
    const first = await world.submit();
    await settled();
    const drained = worker.drain(10_000);
    await settled();
    const second = await world.submit();
    await settled();
    finish({ in: "time" });
    await drained;
    assert.deepEqual(
      [(await world.read(first)).state, (await world.read(second)).state],
      ["completed", "queued"],
    );
    assert.equal(started.length, 1);
  });

  it("hands back what does not finish in time, without counting the attempt", async () => {
    const { handler, stops } = controlled();
    const worker = world.start([handler]);
    const id = await world.submit();
    await settled();
    const drained = worker.drain(10_000);
    await settled();
    world.clock.jump(10_000);
    await drained;
    const { state, attempt } = await world.read(id);
    assert.deepEqual([state, attempt, stops], ["queued", 0, [id]]);
    assert.equal(worker.stats().released, 1);
    await worker.drain(0);
  });

  it("hands back even if a handler does not listen", async () => {
    const never = new Promise<Record<string, unknown>>(() => undefined);
    const worker = world.start([{ type: "t", aliases: [], run: () => never }]);
    const id = await world.submit();
    await settled();
    await worker.drain(0);
    assert.equal((await world.read(id)).state, "queued");
  });

  it("happens by itself when the nursery is cancelled", async () => {
    const { handler } = controlled();
    const own = openHost({ clock: world.clock });
    world.start([handler], { nursery: own.nursery });
    const id = await world.submit();
    await settled();
    await own.close();
    assert.equal((await world.read(id)).state, "queued");
  });

  it("puts a result away that cannot be delivered any more", async () => {
    const { handler, finish } = controlled();
    const worker = world.startAway([handler]);
    await world.submit();
    await settled();
    world.cut();
    const drained = worker.drain(10_000);
    await settled();
    finish({ late: true });
    await drained;
    const waiting = await world.outboxed("peer");
    assert.deepEqual(
      waiting.map(({ queue: name, outcome }) => [name, outcome]),
      [["peer", { kind: "completed", result: { late: true } }]],
    );
  });
});
