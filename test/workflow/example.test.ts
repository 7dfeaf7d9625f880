import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { openEngine } from "./run/engine.ts";

const FILE = new URL("../../examples/word-count.yaml", import.meta.url);

function echo({ payload }: { readonly payload: object }): Record<string, unknown> {
  return { echo: payload };
}

describe("the example workflow", () => {
  it("has twenty steps, asks if it is told to, and gives what it says", async () => {
    await using engine = openEngine();
    const workflow = await readFile(FILE, "utf8");
    const inputs = { texts: ["a", "b", "c", "d", "e"], ask: true };
    const { runId } = await engine.flows.run({ workflow, inputs });
    await engine.work(echo);
    const asking = await engine.flows.get(runId);
    assert.equal(asking?.steps.length, 20);
    assert.equal(
      asking.steps.find(({ state }) => state === "asking")?.question,
      "Publish the counts of 5 texts?",
    );
    await engine.flows.answer(runId, { step: "agree", approved: true });
    const run = await engine.finish(runId, echo);
    assert.deepEqual(run.output, { count: 5, said: "published html and text" });
    assert.equal((await engine.flows.replay(runId)).identical, true);
  });
});
