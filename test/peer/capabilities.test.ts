import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { jsonBytes } from "../../src/content/json.ts";
import { bounded, MAX_TOLD_MODELS, readCapabilities } from "../../src/peer/capabilities.ts";

const SLOTS = { total: 4, free: 3 };
const many = (count: number, text: string): string[] => Array.from({ length: count }, (_, i) => text + i);

describe("what a node tells of itself", () => {
  it("is bounded, says how much was left out, and is what others take", () => {
    const told = bounded({
      task_types: many(500, "type"),
      models: [...many(1000, "model"), "x".repeat(10_000), ""],
      slots: SLOTS,
      gpus: many(100, "y".repeat(1000)).map((name) => ({ name })),
    });
    assert.deepEqual([told.models.length, told.models_total], [MAX_TOLD_MODELS, 1002]);
    assert.ok(jsonBytes(told) < 16_384);
    assert.deepEqual(readCapabilities({ capabilities: told }), told);
  });

  it("is not taken from a peer that tells too much, or something else", () => {
    const good = { task_types: ["echo"], models: [], models_total: 0, slots: SLOTS };
    assert.deepEqual(readCapabilities({ capabilities: { ...good, extra: "x".repeat(1000) } }), good);
    for (const capabilities of [
      undefined,
      [],
      { ...good, models: many(MAX_TOLD_MODELS + 1, "m") },
      { ...good, engine: "x".repeat(1000) },
      { ...good, slots: { total: -1, free: 0 } },
    ])
      assert.equal(readCapabilities({ capabilities }), undefined);
  });
});
