/** Random histories of a queue against a simple model. */
import assert from "node:assert/strict";
import { it } from "node:test";
import * as fc from "fast-check";
import type { ClaimedTask } from "../../src/task/queue.ts";
import { settled } from "../support/clock.ts";
import { type Bench, submitOne, withQueue } from "./bench.ts";

const types = fc.uniqueArray(fc.constantFrom("x", "y", "z"), { minLength: 1 });

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("submit" as const),
      types,
      priority: fc.integer({ min: 1, max: 10 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("claim" as const), types, limit: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delay" as const), types }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("give-up" as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("complete" as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("release" as const), which: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("pass-time" as const), ms: fc.integer({ min: 1, max: 1500 }) }),
  },
);

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

interface Parked {
  readonly types: readonly string[];
  readonly controller: AbortController;
}

/** What the test knows of the queue from the outside. */
class History {
  readonly #bench: Bench;
  readonly #parked = new Set<Parked>();
  #held: ClaimedTask[] = [];
  readonly #completed = new Set<string>();
  #submitted = 0;
  #calls: Promise<unknown>[] = [];

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  async take(one: Step): Promise<void> {
    const { queue, clock } = this.#bench;
    switch (one.do) {
      case "submit":
        for (const type of one.types) this.#spawn(submitOne(queue, { type, priority: one.priority }));
        this.#submitted += one.types.length;
        break;
      case "delay":
        for (const type of one.types) this.#spawn(submitOne(queue, { type, delayMs: 500 }));
        this.#submitted += one.types.length;
        break;
      case "claim":
        this.#spawn(this.#claim(one.types, one.limit));
        break;
      case "give-up":
        pick([...this.#parked], one.which)?.controller.abort();
        break;
      case "complete":
        this.#spawn(this.#settle(one.which, true));
        break;
      case "release":
        this.#spawn(this.#settle(one.which, false));
        break;
      case "pass-time":
        await settled();
        clock.jump(one.ms);
        break;
    }
  }

  /** Lets everything come to rest, and checks that nobody waits for a task that waits for somebody. */
  async check(): Promise<void> {
    await Promise.all(this.#calls);
    this.#calls = [];
    await settled();
    const { queue } = this.#bench;
    const { tasks } = await queue.list({ state: "queued", limit: 1000 });
    const ready = tasks.filter((task) => (task.notBeforeMs ?? 0) <= this.#bench.clock.epochMs());
    for (const { types: wanted } of this.#parked) {
      assert.deepEqual(
        ready.filter((task) => wanted.includes(task.type)),
        [],
        "a task waits while somebody waits for it",
      );
    }
    const { byState } = await queue.stats();
    assert.equal(byState.completed, this.#completed.size);
    assert.equal(byState.queued + byState.running + byState.completed + byState.failed, this.#submitted);
  }

  async finish(): Promise<void> {
    for (const { controller } of this.#parked) controller.abort();
    await settled();
  }

  /** Calls that end by themselves are awaited at the next check; a claim that parks is not. */
  #spawn(call: Promise<unknown>): void {
    this.#calls.push(Promise.race([call, settled(8)]));
  }

  async #claim(wanted: readonly string[], limit: number): Promise<void> {
    const parked = { types: wanted, controller: new AbortController() };
    this.#parked.add(parked);
    try {
      const request = { workerId: "w", types: wanted, limit, waitMs: 60_000, leaseMs: 2000 };
      const got = await this.#bench.queue.claim(request, { signal: parked.controller.signal });
      const now = this.#bench.clock.epochMs();
      for (const { task } of got) {
        const holder = this.#held.find((one) => one.task.id === task.id && one.leaseUntilMs > now);
        assert.equal(holder, undefined, "two hold the same task");
        assert.ok(!this.#completed.has(task.id), "a completed task was given out");
      }
      this.#held.push(...got);
    } catch (error) {
      if (!parked.controller.signal.aborted) throw error;
    } finally {
      this.#parked.delete(parked);
    }
  }

  async #settle(which: number, complete: boolean): Promise<void> {
    const claimed = pick(this.#held, which);
    if (!claimed) return;
    const { lease } = claimed;
    this.#held = this.#held.filter((one) => one !== claimed);
    const { queue } = this.#bench;
    const outcome = await (complete ? queue.complete(lease, {}) : queue.release(lease, "")).then(
      () => "accepted",
      (error: unknown) => error,
    );
    if (outcome !== "accepted") {
      assert.ok(claimed.leaseUntilMs <= this.#bench.clock.epochMs(), "a good lease was refused");
    } else if (complete) {
      assert.ok(!this.#completed.has(lease.taskId), "two results were accepted");
      this.#completed.add(lease.taskId);
    }
  }
}

function pick<T>(list: readonly T[], which: number): T | undefined {
  return list[which % Math.max(1, list.length)];
}

it(
  "leaves no task waiting that somebody waits for, whatever happens in whatever order",
  { timeout: 60_000 },
  async () => {
    // Each inner list happens at once, without anything coming to rest in between.
    const history = fc.array(fc.array(step, { maxLength: 5 }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(history, (rounds) =>
        withQueue(async (bench) => {
          const model = new History(bench);
          for (const round of rounds) {
            for (const one of round) await model.take(one);
            await model.check();
          }
          await model.finish();
        }),
      ),
      { numRuns: 150 },
    );
  },
);
