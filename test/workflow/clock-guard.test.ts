import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { MAX_CLOCK_ENTRIES, VectorClock } from "../../src/workflow/index.ts";
import { admitClock } from "../../src/workflow/clock-guard.ts";

const why = (json: unknown, signer = "p"): string => {
  const admitted = admitClock(json, signer);
  return admitted.ok ? `count ${admitted.count}` : admitted.why;
};

describe("a clock that somebody sent", () => {
  it("counts for the one who sent it, whatever it says of others", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.nat()), fc.nat(), (others, count) => {
        const counters = new Map(Object.entries({ ...others, p: count }).map(([id, n]) => [id, BigInt(n)]));
        const clock = new VectorClock("p", counters);
        assert.equal(why(clock.toJSON()), `count ${count}`);
      }),
    );
  });

  it("may leave its root out, or have one from before its own entry was added, as the original writes", () => {
    assert.equal(why({ node_id: "p", vector: { p: 3 } }), "count 3");
    const before = new VectorClock("", new Map([["q", 2n]])).root;
    assert.equal(why({ node_id: "p", vector: { q: 2 }, merkle_root: before }), "count 0");
  });

  it("is refused if it is of another node, if its root does not fit, and beyond the bounds", () => {
    const { vector, merkle_root: root } = new VectorClock("p", new Map([["p", 3n]])).toJSON();
    assert.match(why({ node_id: "q", vector: { q: 9, p: 9 } }), /not of p/);
    assert.match(why({ node_id: "p", vector: { ...vector, q: 1 }, merkle_root: root }), /root/);
    assert.match(why({ node_id: "p", vector, merkle_root: 5 }), /no clock/);
    assert.match(why({ node_id: "p", vector: { p: -1 } }), /bounds/);
    assert.match(why({ node_id: "p", vector: { p: "9".repeat(30) } }), /bounds/);
    const many = Object.fromEntries(Array.from({ length: MAX_CLOCK_ENTRIES }, (_, i) => [`n${i}`, 1]));
    assert.match(why({ node_id: "p", vector: many }), /too many/);
    for (const none of [undefined, null, "p", [], 3]) assert.match(why(none), /no clock/);
  });
});
