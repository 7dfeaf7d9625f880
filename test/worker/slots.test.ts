/** How many tasks a worker does at once: of each type, and over time. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Worker } from "../../src/worker/index.ts";
import { settled } from "../support/clock.ts";
import { controlled, World } from "../support/work.ts";

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

/** Lets time pass in steps of half a second. @returns how many slots there were after each */
async function pass(worker: Worker, ms: number): Promise<readonly number[]> {
  const seen: number[] = [];
  for (let passedMs = 0; passedMs < ms; passedMs += 500) {
    world.clock.jump(500);
    await settled(8);
    seen.push(worker.slots);
  }
  return seen;
}

async function submitMany(count: number, type = "t"): Promise<void> {
  await world.queue.submit(Array.from({ length: count }, () => ({ type, payload: {} })));
}

describe("a worker with a limit for a type", () => {
  it("does no more of it at once, over all its queues, and fills its other slots with the rest", async () => {
    const [slow, quick] = [controlled(), controlled()];
    const handlers = [
      { ...slow.handler, type: "docker.execute" },
      { ...quick.handler, type: "u" },
    ];
    const sources = [
      { name: "a", queue: world.queue },
      { name: "b", queue: world.queue },
    ];
    const worker = world.start(handlers, { concurrencyOf: new Map([["docker.run", 1]]), sources });
    await submitMany(5, "docker.execute");
    await settled(8);
    assert.deepEqual([slow.started.length, worker.running], [1, 1]);
    await submitMany(5, "u");
    await settled(12);
    assert.deepEqual([slow.started.length, quick.started.length, worker.running], [1, 3, 4]);
    for (let i = 0; i < 5; i++) {
      slow.finish();
      quick.finish();
      await settled(12);
    }
    slow.finish();
    quick.finish();
    await settled(12);
    assert.deepEqual([slow.started.length, quick.started.length], [5, 5]);
    const { claimed, completed, released } = worker.stats();
    assert.deepEqual([claimed, completed, released], [10, 10, 0]);
  });

  it("gives all slots back when it is drained in the midst", async () => {
    const { handler } = controlled();
    const worker = world.start([handler], { concurrencyOf: new Map([["t", 2]]) });
    await submitMany(5);
    await settled(8);
    await worker.drain(0);
    assert.deepEqual([worker.running, worker.stats().released], [0, 2]);
    assert.equal((await world.queue.stats()).byState.queued, 5);
  });
});

describe("a worker between a least and a most number of slots", () => {
  it("has more while work waits, and fewer only long after it does not need them", async () => {
    const { handler, started, finish } = controlled();
    const worker = world.start([handler], { concurrency: 8, minConcurrency: 1 });
    await pass(worker, 5000);
    assert.equal(worker.slots, 1);
    await submitMany(30);
    const growing = await pass(worker, 6000);
    assert.deepEqual([...new Set(growing)], [1, 2, 3, 5, 8]);
    assert.equal(started.length, 8);
    for (let i = 0; i < 30; i++) finish();
    for (let i = 0; i < 30; i++) {
      await settled(6);
      finish();
    }
    assert.equal(worker.stats().completed, 30);
    const falling = await pass(worker, 60_000);
    assert.deepEqual(new Set(falling.slice(0, 58)), new Set([8]));
    assert.equal(falling.at(-1), 1);
  });

  it("does not swing while bursts come now and then, and keeps what a steady load needs", async () => {
    const { handler, finish } = controlled();
    const worker = world.start([handler], { concurrency: 8, minConcurrency: 1 });
    const seen: number[] = [];
    for (let burst = 0; burst < 12; burst++) {
      await submitMany(10);
      seen.push(...(await pass(worker, 4000)));
      for (let i = 0; i < 12; i++) {
        finish();
        await settled(6);
      }
      seen.push(...(await pass(worker, 6000)));
    }
    assert.deepEqual(new Set(seen.slice(10)), new Set([8]));
    await submitMany(3);
    const steady = await pass(worker, 90_000);
    assert.equal(steady.at(-1), 3);
  });

  it("stays as it is while the event loop is behind", async () => {
    const { handler } = controlled();
    const worker = world.start([handler], { concurrency: 8, minConcurrency: 1 });
    await submitMany(30);
    for (let i = 0; i < 10; i++) {
      // What is due after half a second is run only after a second.
      world.clock.jump(1000);
      await settled(8);
    }
    assert.equal(worker.slots, 1);
  });
});
