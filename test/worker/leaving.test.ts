/** What becomes of results and of work in hand when a queue, a worker or a node goes away. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { openHost } from "../../src/nursery/index.ts";
import { MAX_RESULT_BYTES } from "../../src/task/task.ts";
import { settled } from "../support/clock.ts";
import { controlled, World } from "../support/work.ts";

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
    assert.equal((await world.stores.outbox.list(10)).length, 1);
    assert.deepEqual([worker.running, worker.stats().outboxed], [0, 1]);
    world.mend();
    world.clock.jump(20_000);
    await settled(8);
    assert.deepEqual(
      [(await world.read(id)).result, (await world.stores.outbox.list(10)).length],
      [{ kept: true }, 0],
    );
    assert.equal(worker.stats().delivered, 1);
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
    const waiting = await world.stores.outbox.list(10);
    assert.deepEqual(
      waiting.map(({ queue: name, outcome }) => [name, outcome]),
      [["peer", { kind: "completed", result: { late: true } }]],
    );
  });
});
