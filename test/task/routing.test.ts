import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClaimRequest } from "../../src/task/queue.ts";
import { assignedIn, laneChoice, laneOf, laneOfAssigned, laneTest } from "../../src/task/routing.ts";

const TASKS = {
  echo: laneOf("echo", {}),
  read: laneOf("tool.call", { tool: "fs__read" }),
  query: laneOf("tool", { name: "db__query" }),
  plain: laneOf("tool.call", {}),
  after: laneOf("tool.call ", {}),
};

function taken(request: Omit<ClaimRequest, "workerId">): string[] {
  const test = laneTest(laneChoice(request));
  return Object.entries(TASKS).flatMap(([name, lane]) => (test(lane) ? [name] : []));
}

describe("a claim takes the lanes", () => {
  it("of its types and skills, and knows them without looking", () => {
    const request = { types: ["echo", "tool"], skills: ["tool:fs__read"] };
    assert.deepEqual(taken(request), ["echo", "read", "plain"]);
    assert.deepEqual(laneChoice(request).ranges, []);
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
  const lane = laneOf("workflow.task", { task_id: "t" });

  it("is matched by no claim, whatever it names", () => {
    const any = [
      {},
      { skills: ["tool:x"] },
      { types: ["workflow.task"] },
      { types: ["workflow.github", "tool"] },
    ];
    for (const request of any)
      assert.equal(laneTest(laneChoice(request))(lane), false, JSON.stringify(request));
  });

  it("has a lane of its own, also if it stays at home", () => {
    assert.equal(lane, laneOfAssigned("t"));
    assert.equal(laneOf("workflow.github", { task_id: "t" }), lane);
    assert.equal(assignedIn(lane), "t");
    assert.equal(assignedIn(laneOf("echo", {})), undefined);
    assert.equal(laneOf("workflow.task", {}), "workflow.task");
  });
});
