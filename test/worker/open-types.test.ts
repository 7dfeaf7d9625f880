/** Task types that a worker can do only at times, such as those of a model whose endpoint comes and goes. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Handler } from "../../src/worker/index.ts";
import { settled } from "../support/clock.ts";
import { World } from "../support/work.ts";

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

/** A handler of a type, and whether that is open. */
function door(type: string): { readonly handler: Handler; open: boolean } {
  const state = {
    open: false,
    handler: { type, aliases: [], isOpen: () => state.open, run: async () => ({}) },
  };
  return state;
}

describe("a worker whose types open and close", () => {
  it("takes tasks of a type while it is open, and then only", async () => {
    const [a, b] = [door("a"), door("b")];
    b.open = true;
    const worker = world.start([a.handler, b.handler]);
    const ids = [await world.submit({ type: "a" }), await world.submit({ type: "b" })];
    await settled();
    const states = async (): Promise<string[]> =>
      Promise.all(ids.map(async (id) => (await world.read(id)).state));
    assert.deepEqual(await states(), ["queued", "completed"]);
    a.open = true;
    worker.refresh();
    await settled(8);
    assert.deepEqual(await states(), ["completed", "completed"]);
  });

  it("takes nothing, rather than anything, while all are closed", async () => {
    const only = door("a");
    const worker = world.start([only.handler]);
    const ids = [await world.submit({ type: "a" }), await world.submit({ type: "other" })];
    await settled();
    for (const id of ids) assert.equal((await world.read(id)).state, "queued");
    assert.equal(worker.stats().claimed, 0);
    only.open = true;
    worker.refresh();
    await settled(8);
    assert.deepEqual(await Promise.all(ids.map(async (id) => (await world.read(id)).state)), [
      "completed",
      "queued",
    ]);
  });
});
