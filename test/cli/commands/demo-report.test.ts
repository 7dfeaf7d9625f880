import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { report } from "../../../src/cli/commands/demo-report.ts";
import type { JsonObject } from "../../../src/content/json.ts";

const claimed = (worker: string, token: number): JsonObject => ({
  event: "claimed",
  worker_id: worker,
  lease_token: token,
});
const completed = (worker: string, token: number): JsonObject => ({
  event: "completed",
  worker_id: worker,
  lease_token: token,
});
const record = (
  id: string,
  worker: string,
  history: readonly JsonObject[],
  status = "completed",
): JsonObject => ({
  task_id: id,
  status,
  assigned_worker: worker,
  history,
});

const judge = (records: readonly JsonObject[], submitted: readonly string[]): ReturnType<typeof report> =>
  report({
    records,
    submitted,
    followed: submitted.map((taskId, i) => ({ taskId, tookMs: i + 1 })),
    killed: "B",
    totalMs: 5,
  });

describe("the demonstration's report", () => {
  it("is good if every task has one accepted result, and counts what was taken over", () => {
    const records = [
      record("1", "B", [claimed("B", 1), completed("B", 1)]),
      record("2", "C", [claimed("B", 2), { event: "expired" }, claimed("C", 3), completed("C", 3)]),
    ];
    const result = judge(records, ["1", "2"]);
    assert.ok(result.ok);
    assert.equal(result.completed_once, 2);
    assert.equal(result.taken_over, 1);
    assert.deepEqual(result.by_worker, { B: 1, C: 1 });
    assert.deepEqual([result.p50_ms, result.p99_ms], [1, 2]);
  });

  it("does not count a task that was handed back as taken over", () => {
    const records = [
      record("1", "C", [claimed("B", 1), { event: "released" }, claimed("C", 2), completed("C", 2)]),
    ];
    assert.equal(judge(records, ["1"]).taken_over, 0);
  });

  it("names a task that was completed twice", () => {
    const records = [
      record("1", "C", [claimed("B", 1), completed("B", 1), claimed("C", 2), completed("C", 2)]),
    ];
    const result = judge(records, ["1"]);
    assert.deepEqual([result.ok, result.repeated], [false, ["1"]]);
  });

  it("names a task whose result came under a lease that was no longer the last", () => {
    const records = [record("1", "B", [claimed("B", 1), claimed("C", 2), completed("B", 1)])];
    assert.deepEqual(judge(records, ["1"]).repeated, ["1"]);
  });

  it("names a task that failed, and one that the queue does not know", () => {
    const records = [record("1", "B", [claimed("B", 1)], "failed")];
    const result = judge(records, ["1", "2"]);
    assert.deepEqual([result.ok, result.missing], [false, ["1", "2"]]);
  });

  it("is not good if two submits gave the same task", () => {
    const records = [record("1", "C", [claimed("C", 1), completed("C", 1)])];
    assert.equal(judge(records, ["1", "1"]).ok, false);
  });
});
