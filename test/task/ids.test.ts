import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TaskIds } from "../../src/task/ids.ts";

describe("task ids", () => {
  it("grow, also within a millisecond and when the clock is set back", () => {
    const ids = new TaskIds();
    const given = [5000, 5000, 4000, 5000, 5001, 1, 6000].map((nowMs) => ids.next(nowMs));
    assert.deepEqual(given, given.toSorted());
    assert.equal(new Set(given).size, given.length);
  });

  it("grow beyond as many as a millisecond has places for", () => {
    const ids = new TaskIds();
    const given = Array.from({ length: 10_000 }, () => ids.next(1_700_000_000_000));
    assert.deepEqual(given, given.toSorted());
  });

  it("are UUIDs of version 7 without dashes", () => {
    assert.match(new TaskIds().next(1_700_000_000_000), /^018bcfe568007[0-9a-f]{3}[89ab][0-9a-f]{15}$/);
  });
});
