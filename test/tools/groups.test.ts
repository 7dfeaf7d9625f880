import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { allTools, offeredTools } from "../../src/tools/index.ts";

const names = (p2pTools: boolean, taskqueueTools: boolean): string[] =>
  offeredTools({ p2pTools, taskqueueTools }).map((tool) => tool.name);

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
  });
});
