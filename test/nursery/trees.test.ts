/** Many tasks at once: depth, and random trees of tasks, failures and cancellations. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  cancelScope,
  CancelScope,
  currentScope,
  failAfter,
  isCancelled,
  moveOnAfter,
  openNursery,
  shield,
  sleep,
  sleepForever,
  TimeoutError,
} from "../../src/nursery/index.ts";
import { settled } from "../support/clock.ts";
import { boom, virtual } from "./support.ts";

const DEPTH = 10_000;

/** Numbers below the one given, the same for the same seed (Park and Miller's generator, 1993 constants). */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

function leaves(error: unknown): unknown[] {
  return error instanceof AggregateError ? error.errors.flatMap(leaves) : [error];
}

/** A random tree, and what it has seen. */
class Tree {
  live = 0;
  readonly thrown = new Set<unknown>();
  readonly #random: (below: number) => number;

  constructor(seed: number) {
    this.#random = seeded(seed);
  }

  async grow(depth: number): Promise<void> {
    this.live++;
    try {
      await this.#node(depth);
    } finally {
      this.live--;
    }
  }

  #fail(): never {
    const error = new Error("random");
    this.thrown.add(error);
    throw error;
  }

  async #node(depth: number): Promise<unknown> {
    const random = this.#random;
    switch (random(depth > 3 ? 4 : 8)) {
      case 0:
        return sleep(random(50));
      case 1:
        await sleep(random(20));
        return this.#fail();
      case 2:
        return sleepForever().catch((error: unknown) => {
          if (random(2)) throw error;
        });
      case 3:
        return this.#cleanedUp();
      case 4:
        return moveOnAfter(random(40), () => this.grow(depth + 1));
      case 5:
        return failAfter(random(40), () => this.grow(depth + 1)).catch((error: unknown) => {
          if (!(error instanceof TimeoutError)) throw error;
        });
      default:
        return this.#nursery(depth);
    }
  }

  async #cleanedUp(): Promise<void> {
    try {
      await sleep(this.#random(30));
    } finally {
      await shield(1000, () => sleep(this.#random(10)));
    }
  }

  #nursery(depth: number): Promise<unknown> {
    return openNursery(async (nursery) => {
      for (let i = this.#random(4); i >= 0; i--) nursery.startSoon(() => this.grow(depth + 1));
      if (this.#random(3) > 0) return;
      await sleep(this.#random(20));
      nursery.cancel();
    });
  }
}

describe("10,000 nested scopes", () => {
  it("neither overflow the stack nor escape cancellation", async () => {
    const outer = new CancelScope();
    const nest = async (depth: number): Promise<unknown> => {
      if (depth > 0) {
        return cancelScope(async () => {
          await settled(1);
          return nest(depth - 1);
        });
      }
      assert.equal(currentScope().effectiveDeadline, Infinity);
      outer.cancel();
      return sleepForever();
    };
    assert.equal((await outer.run(() => nest(DEPTH))).ok, false);
  });

  it("of nurseries carry a failure all the way up", async () => {
    const nest = (depth: number): Promise<unknown> =>
      openNursery((nursery) => {
        nursery.startSoon(() => (depth === 0 ? boom("bottom") : nest(depth - 1)));
      });
    await assert.rejects(nest(DEPTH), (error) => {
      let inner = error;
      for (let depth = 0; depth <= DEPTH; depth++) {
        assert.ok(inner instanceof AggregateError);
        assert.equal(inner.errors.length, 1);
        inner = inner.errors[0];
      }
      assert.equal(String(inner), "Error: bottom");
      return true;
    });
  });
});

describe("a random tree of tasks, failures and cancellations", () => {
  it("ends, reports every failure once, and runs nothing afterwards", async () => {
    for (let seed = 1; seed <= 300; seed++) {
      const tree = new Tree(seed);
      const seen: unknown[] = [];
      await virtual(async () => {
        const whole = moveOnAfter(100, () =>
          openNursery((nursery) => {
            nursery.startSoon(() => tree.grow(0));
            nursery.startSoon(() => tree.grow(0));
          }),
        );
        await whole.catch((error: unknown) => seen.push(...leaves(error)));
        assert.equal(tree.live, 0, `seed ${seed}: something still runs`);
      });
      assert.equal(seen.some(isCancelled), false, `seed ${seed}: a cancellation was reported`);
      assert.equal(new Set(seen).size, seen.length, `seed ${seed}: a failure was reported twice`);
      assert.deepEqual(new Set(seen), tree.thrown, `seed ${seed}`);
    }
  });
});
