import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import * as z from "zod";
import {
  MAX_CLOCK_ENTRIES,
  MAX_CLOCK_ID_CHARS,
  MAX_COUNTER_DIGITS,
  merkleClockRoot,
  merkleClockText,
  parseClock,
  VectorClock,
} from "../../src/workflow/clock.ts";

const clockJson = z.object({
  node_id: z.string(),
  vector: z.record(z.string(), z.unknown()),
  merkle_root: z.string(),
});

const vectorsSchema = z.object({
  roots: z.array(
    z.object({
      name: z.string(),
      vector_entries: z.array(z.tuple([z.string(), z.string()])),
      hashed_text: z.string(),
      merkle_root: z.string(),
    }),
  ),
  loose_inputs: z.array(
    z.object({
      name: z.string(),
      from_dict: z.unknown(),
      taskqueue: z.union([
        z.object({ raises: z.string() }),
        z.object({ to_dict: clockJson, svc_after_update: clockJson }),
      ]),
    }),
  ),
  sequences: z.array(
    z.object({
      name: z.string(),
      initial: z.record(z.string(), clockJson),
      steps: z.array(z.object({ op: z.array(z.string()), after: z.record(z.string(), clockJson) })),
    }),
  ),
  compare: z.array(
    z.object({
      self: z.record(z.string(), z.number()),
      other: z.record(z.string(), z.number()),
      correct_result: z.number(),
    }),
  ),
});

/** Integers that no double holds become bigints, as a parser of the old wire must make them. */
function exactIntegers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  const unsafe = typeof value === "number" && !Number.isSafeInteger(value);
  return unsafe && source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
}

const text = readFileSync(new URL("../vectors/merkle_clock.json", import.meta.url), "utf8");
const raw: unknown = JSON.parse(text, exactIntegers);
const vectors = vectorsSchema.parse(raw);

/** A clock as it stands on the wire, read back without loss. */
function onTheWire(clock: VectorClock): unknown {
  const parsed: unknown = JSON.parse(JSON.stringify(clock), exactIntegers);
  return parsed;
}

function clockOf(counts: Readonly<Record<string, number>>): VectorClock {
  return new VectorClock("", new Map(Object.entries(counts).map(([id, count]) => [id, BigInt(count)])));
}

describe("the root of a merkle clock", () => {
  for (const { name, vector_entries, hashed_text, merkle_root } of vectors.roots) {
    it(`equals the recorded one: ${name}`, () => {
      const entries = vector_entries.map(([id, count]): [string, bigint] => [id, BigInt(count)]);
      assert.equal(merkleClockText(entries), hashed_text);
      assert.equal(merkleClockRoot(entries), merkle_root);
    });
  }

  it("does not depend on the order in which ids were learnt", () => {
    const entries = fc.uniqueArray(fc.tuple(fc.string({ unit: "binary" }), fc.bigInt({ min: 0n })), {
      selector: ([id]) => id,
      maxLength: 20,
    });
    fc.assert(
      fc.property(entries, (some) => {
        assert.equal(merkleClockRoot(some), merkleClockRoot(some.toReversed()));
      }),
    );
  });

  it("is of pure ASCII text, whatever the ids", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (id) => {
        assert.match(merkleClockText([[id, 1]]), /^[ -~]*$/);
      }),
    );
  });
});

describe("a clock from the old wire", () => {
  for (const { name, from_dict, taskqueue } of vectors.loose_inputs) {
    it(`is read as the old task-queue service reads it: ${name}`, () => {
      const clock = parseClock(from_dict);
      if ("raises" in taskqueue) {
        assert.equal(clock, undefined);
        return;
      }
      assert.ok(clock);
      assert.deepEqual(onTheWire(clock), taskqueue.to_dict);

      const service = new VectorClock("svc");
      service.merge(clock);

      assert.deepEqual(onTheWire(service), taskqueue.svc_after_update);
    });
  }

  it("is refused if a counter is no integer to Python", () => {
    for (const count of ["", "3.5", "0x10", "three", [], {}, Number.NaN]) {
      assert.equal(parseClock({ node_id: "p", vector: { p: count } }), undefined);
    }
    for (const [count, integer] of [
      [" 7 ", 7n],
      ["1_000", 1000n],
      ["-3", -3n],
      [true, 1n],
      [-3.9, -3n],
    ] as const) {
      assert.equal(parseClock({ node_id: "p", vector: { p: count } })?.count("p"), integer);
    }
  });

  it("is refused beyond the bounds", () => {
    const many = Object.fromEntries(Array.from({ length: MAX_CLOCK_ENTRIES }, (_, i) => [`p${i}`, 1]));
    assert.equal(parseClock({ node_id: "p", vector: many }), undefined);
    assert.equal(
      parseClock({ node_id: "p", vector: { ["x".repeat(MAX_CLOCK_ID_CHARS + 1)]: 1 } }),
      undefined,
    );
    assert.equal(parseClock({ node_id: "p", vector: { p: "9".repeat(MAX_COUNTER_DIGITS + 1) } }), undefined);
    assert.equal(parseClock({ node_id: "p", vector: {}, merkle_root: "f".repeat(1000) }), undefined);
    for (const none of [undefined, null, "clock", 3, [1], { node_id: 3 }])
      assert.equal(parseClock(none), undefined);
  });

  it("keeps an id that JavaScript would take for a prototype", () => {
    const received: unknown = JSON.parse('{"node_id":"p","vector":{"__proto__":2,"constructor":3}}');
    const clock = parseClock(received);
    assert.equal(clock?.count("__proto__"), 2n);
    assert.match(JSON.stringify(clock), /"__proto__":2,"constructor":3,"p":0/);
  });
});

describe("a vector clock", () => {
  for (const { name, initial, steps } of vectors.sequences) {
    it(`moves as recorded: ${name}`, () => {
      const clocks = new Map(Object.keys(initial).map((id) => [id, new VectorClock(id)]));
      const all = (): unknown => Object.fromEntries([...clocks].map(([id, clock]) => [id, onTheWire(clock)]));
      assert.deepEqual(all(), initial);
      for (const { op, after } of steps) {
        const [verb, id = "", otherId = ""] = op;
        const clock = clocks.get(id);
        const other = clocks.get(otherId);
        assert.ok(clock);
        if (verb === "tick") clock.tick();
        else if (other) clock.merge(other);
        else assert.fail(`unknown step ${op.join(" ")}`);
        assert.deepEqual(all(), after);
      }
    });
  }

  for (const { self, other, correct_result } of vectors.compare) {
    it(`compares ${JSON.stringify(self)} with ${JSON.stringify(other)} as ${correct_result}`, () => {
      assert.equal(clockOf(self).compare(clockOf(other)), correct_result);
      assert.equal(clockOf(other).compare(clockOf(self)) + correct_result, 0);
    });
  }

  it("is after every clock that it merged", () => {
    const counts = fc.dictionary(fc.string(), fc.nat());
    fc.assert(
      fc.property(counts, counts, (mine, theirs) => {
        const clock = new VectorClock("me", new Map(Object.entries(mine).map(([id, n]) => [id, BigInt(n)])));
        clock.merge(clockOf(theirs));
        assert.equal(clock.compare(clockOf(theirs)), 1);
      }),
    );
  });

  it("does not tick if it belongs to nobody", () => {
    const clock = new VectorClock("");
    clock.tick();
    assert.equal(clock.size, 0);
  });

  it("does not grow beyond its bound, and still counts the ids it knows", () => {
    const full = new Map(Array.from({ length: MAX_CLOCK_ENTRIES - 1 }, (_, i) => [`p${i}`, 1n]));
    const clock = new VectorClock("me", full);
    clock.merge(clockOf({ p0: 9, stranger: 1 }));
    assert.equal(clock.size, MAX_CLOCK_ENTRIES);
    assert.equal(clock.count("p0"), 9n);
    assert.equal(clock.count("stranger"), 0n);
    assert.equal(clock.count("me"), 1n);
  });
});
