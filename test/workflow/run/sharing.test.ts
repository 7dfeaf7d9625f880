import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openMemoryStores, type Stores } from "../../../src/store/index.ts";
import type { WorkflowStore } from "../../../src/workflow/run/store.ts";
import { settled } from "../../support/clock.ts";
import { openEngine } from "./engine.ts";

const WORKFLOW = {
  name: "shared",
  steps: [
    { id: "first", task: "t" },
    { id: "ask", approval: "Go on?", depends_on: ["first"] },
    { id: "last", task: "t", payload: { said: "${{ steps.ask.result.comment }}" } },
  ],
  output: "${{ steps.last.result.said }}",
};

/** One store as several processes see it: each hears of the appends of the others, and of nothing else. */
class Shared {
  readonly #stores: Stores = openMemoryStores();
  readonly #listeners = new Map<symbol, Set<() => void>>();

  seat(): Stores {
    const me = Symbol("seat");
    const mine = new Set<() => void>();
    this.#listeners.set(me, mine);
    const { workflows: store } = this.#stores;
    const tell = (): void => {
      for (const [seat, listeners] of this.#listeners)
        if (seat !== me) for (const listener of listeners) listener();
    };
    const telling = async <T>(change: Promise<T>): Promise<T> => {
      const value = await change;
      tell();
      return value;
    };
    const workflows: WorkflowStore = {
      create: (...args) => telling(store.create(...args)),
      append: (...args) => telling(store.append(...args)),
      release: (...args) => telling(store.release(...args)),
      events: (...args) => store.events(...args),
      get: (...args) => store.get(...args),
      list: (...args) => store.list(...args),
      take: (...args) => store.take(...args),
      renew: (...args) => store.renew(...args),
      survey: (...args) => store.survey(...args),
      prune: (...args) => store.prune(...args),
      onForeignChange(listener) {
        mine.add(listener);
        return () => mine.delete(listener);
      },
    };
    return { ...this.#stores, workflows };
  }
}

describe("processes that share one database", () => {
  it("conduct a run once, and hear what others ask of it", async () => {
    const shared = new Shared();
    await using a = openEngine({ stores: shared.seat(), conductor: "a" });
    await using b = openEngine({ stores: shared.seat(), conductor: "b" });
    const { runId } = await a.flows.run({ workflow: WORKFLOW });
    await a.work();
    await settled(20);
    const { conductor, asking } = (await b.flows.get(runId)) ?? {};
    assert.equal(asking, 1);
    const [conducting, other] = conductor === "a" ? [a, b] : [b, a];
    const ended = other.flows.wait(runId, { timeoutMs: 60_000 });
    await other.flows.answer(runId, { step: "ask", approved: true, comment: "yes" });
    await settled(20);
    await conducting.work();
    assert.equal((await ended).output, "yes");
    const events = await other.flows.events(runId, 0);
    assert.equal(events.filter(({ kind }) => kind === "submit").length, 2);
    assert.equal((await other.flows.replay(runId)).identical, true);
  });

  it("take a run over at once from one that stops", async () => {
    const shared = new Shared();
    const a = openEngine({ stores: shared.seat(), conductor: "a" });
    const { runId } = await a.flows.run({ workflow: WORKFLOW });
    await a.work();
    await using b = openEngine({ stores: shared.seat(), conductor: "b" });
    await settled(20);
    assert.equal((await b.flows.get(runId))?.conductor, "a");
    await a.local.stop();
    await settled(20);
    assert.equal((await b.flows.get(runId))?.conductor, "b");
    await b.flows.answer(runId, { step: "ask", approved: true, comment: "yes" });
    assert.equal((await b.finish(runId)).output, "yes");
    await a[Symbol.asyncDispose]();
  });
});
