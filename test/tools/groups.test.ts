import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { allTools, offeredTools } from "../../src/tools/index.ts";

const names = (p2pTools: boolean, taskqueueTools: boolean, workflowTools = true): string[] =>
  offeredTools({ p2pTools, taskqueueTools, workflowTools }).map((tool) => tool.name);

describe("the groups of tools", () => {
  it("are all offered unless one is switched off", () => {
    assert.deepEqual(
      names(true, true),
      allTools.map((tool) => tool.name),
    );
  });

  it("lose the task queue's tools with their switch, and all with the other", () => {
    const without = names(true, false);
    assert.ok(without.length > 0);
    assert.ok(!without.includes("p2p_taskqueue_submit"));
    assert.deepEqual(names(false, true), []);
    assert.ok(without.includes("p2p_submit_task"));
  });

  it("lose the workflows' and the scheduler's tools with theirs", () => {
    const lost = names(true, true).filter((name) => !names(true, true, false).includes(name));
    assert.equal(lost.length, 15);
    assert.ok(lost.includes("p2p_get_next_task") && lost.includes("workflow_run"));
  });
});
