import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as z from "zod";
import { LegacyOrder } from "../../src/workflow/index.ts";
import { vectors } from "./vectors.ts";

const { heap } = vectors(
  "priority_order.json",
  z.object({
    heap: z.array(
      z.object({
        name: z.string(),
        priorities_in_submission_order: z.array(z.number()),
        original_order_indexes: z.array(z.number()),
      }),
    ),
  }),
);

describe("the order of the old workflow scheduler", () => {
  it("is reproduced, among equal priorities too", () => {
    for (const { name, priorities_in_submission_order: priorities, original_order_indexes } of heap) {
      const order = new LegacyOrder<number>();
      for (const [index, priority] of priorities.entries()) order.push(10 - priority, index);
      const popped = priorities.map(() => order.pop());
      assert.deepEqual(popped, original_order_indexes, name);
      assert.equal(order.pop(), undefined);
      assert.equal(order.size, 0);
    }
  });

  it("never hands out a lower priority before a higher one while tasks come and go", () => {
    const order = new LegacyOrder<number>();
    const waiting: number[] = [];
    let seed = 1;
    for (let step = 0; step < 5000; step++) {
      seed = (seed * 48_271) % 2_147_483_647;
      if (seed % 3 > 0) {
        const key = seed % 10;
        order.push(key, key);
        waiting.push(key);
      } else if (waiting.length > 0) {
        const least = Math.min(...waiting);
        assert.equal(order.pop(), least);
        waiting.splice(waiting.indexOf(least), 1);
      }
    }
    assert.equal(order.size, waiting.length);
  });
});
