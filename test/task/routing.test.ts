import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClaimRequest } from "../../src/task/queue.ts";
import { laneChoice, laneOf, laneTest } from "../../src/task/routing.ts";

const NOW = { nowMs: 1_700_000_000_500 };
const TASKS = {
  echo: laneOf({ type: "echo", payload: {} }),
  read: laneOf({ type: "tool.call", payload: { tool: "fs__read" } }),
  query: laneOf({ type: "tool", payload: { name: "db__query" } }),
  plain: laneOf({ type: "tool.call", payload: {} }),
  after: laneOf({ type: "tool.call ", payload: {} }),
};

function taken(request: Omit<ClaimRequest, "workerId">): string[] {
  const test = laneTest(laneChoice(request, NOW));
  return Object.entries(TASKS).flatMap(([name, lane]) => (test(lane) ? [name] : []));
}

describe("a claim takes the lanes", () => {
  it("of its types and skills, and knows them without looking", () => {
    const request = { types: ["echo", "tool"], skills: ["tool:fs__read"] };
    assert.deepEqual(taken(request), ["echo", "read", "plain"]);
    assert.deepEqual(laneChoice(request, NOW).ranges, []);
    assert.deepEqual(taken({ types: ["echo"], skills: ["tool:fs__read"] }), ["echo"]);
  });

  it("of any type without a requirement, and of its skills, if it names only skills", () =>
    assert.deepEqual(taken({ skills: ["tool:db__query"] }), ["echo", "query", "plain", "after"]));

  it("of its types, whatever they require, if it names no skills", () => {
    assert.deepEqual(taken({ types: ["tool.call"] }), ["read", "query", "plain"]);
    assert.deepEqual(taken({}), Object.keys(TASKS));
  });
});
