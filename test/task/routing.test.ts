import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClaimRequest } from "../../src/task/queue.ts";
import { assignedIn, laneChoice, laneOf, laneOfAssigned, laneTest } from "../../src/task/routing.ts";

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

describe("a task of the workflow scheduler", () => {
  const lane = laneOf({ type: "workflow.task", payload: { task_id: "t" } });

  it("is matched by no claim, whatever it names", () => {
    const any = [
      {},
      { skills: ["tool:x"] },
      { types: ["workflow.task"] },
      { types: ["workflow.github", "tool"] },
    ];
    for (const request of any)
      assert.equal(laneTest(laneChoice(request, { nowMs: 0 }))(lane), false, JSON.stringify(request));
  });

  it("has a lane of its own, also if it stays at home", () => {
    assert.equal(lane, laneOfAssigned("t"));
    assert.equal(laneOf({ type: "workflow.github", payload: { task_id: "t" } }), lane);
    assert.equal(assignedIn(lane), "t");
    assert.equal(assignedIn(laneOf({ type: "echo", payload: {} })), undefined);
    assert.equal(laneOf({ type: "workflow.task", payload: {} }), "workflow.task");
  });
});
