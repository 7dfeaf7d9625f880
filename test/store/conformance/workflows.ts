/** What every engine's WorkflowStore must do. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RunEvent, RunHappening } from "../../../src/workflow/run/events.ts";
import type { WorkflowStore } from "../../../src/workflow/run/store.ts";
import type { OpenStores } from "./fixtures.ts";

const WORKFLOW = { name: "w", steps: [{ id: "a", task: "echo" }] };
const RUNNING = { state: "running", asking: 0 } as const;
const ME = { name: "me", instance: "i1" };
const OTHER = { name: "other", instance: "i2" };

function at(seq: number, happening: RunHappening): RunEvent {
  return { ...happening, seq, atMs: seq * 10 };
}

const STARTED: RunHappening = { kind: "started", workflow: WORKFLOW, inputs: { x: "\u0000é" }, by: "owner" };

async function begun(store: WorkflowStore, id: string, nowMs = 0, key?: string): Promise<void> {
  const run = { id, workflow: "w", digest: id, idempotencyKey: key };
  assert.deepEqual(await store.create(run, at(1, STARTED), nowMs), { runId: id, created: true });
}

const DONE: RunHappening = {
  kind: "finished",
  step: "a",
  attempt: 1,
  outcome: { state: "completed", result: { n: 1 } },
};

function ids(page: { readonly runs: readonly { readonly id: string }[] }): string[] {
  return page.runs.map(({ id }) => id);
}

export function workflowStoreConformance(open: OpenStores): void {
  describe("workflow store", () => {
    it("gives back the log that was appended, in order and in pages", async () => {
      await using stores = await open();
      const store = stores.workflows;
      await begun(store, "r1", 5);
      const more = [at(2, DONE), at(3, { kind: "complete", step: "a" })];
      await store.append("r1", more, { state: "running", asking: 2 }, 7);
      assert.deepEqual(await store.events("r1", 0, 9), [at(1, STARTED), ...more]);
      assert.deepEqual(await store.events("r1", 1, 1), [more[0]]);
      assert.deepEqual(await store.events("none", 0, 9), []);
      const row = {
        id: "r1",
        workflow: "w",
        state: "running",
        length: 3,
        asking: 2,
        createdAtMs: 5,
        updatedAtMs: 7,
      };
      assert.deepEqual(await store.get("r1"), row);
      assert.equal(await store.get("none"), undefined);
    });

    it("gives one run for one idempotency key, and refuses it for another workflow", async () => {
      await using stores = await open();
      const store = stores.workflows;
      await begun(store, "r1", 0, "key");
      const again = { id: "r2", workflow: "w", digest: "r1", idempotencyKey: "key" };
      assert.deepEqual(await store.create(again, at(1, STARTED), 9), { runId: "r1", created: false });
      const conflict = store.create({ ...again, digest: "else" }, at(1, STARTED), 9);
      await assert.rejects(conflict, { code: "E_IDEMPOTENCY_CONFLICT" });
      assert.equal(await store.get("r2"), undefined);
    });

    it("lets only one of two append after the same event, and writes nothing of the other", async () => {
      await using stores = await open();
      const store = stores.workflows;
      await begun(store, "r1");
      const cancel = (by: string): RunEvent => at(2, { kind: "cancel_requested", reason: "", by });
      const results = await Promise.allSettled([
        store.append("r1", [cancel("a")], RUNNING, 1),
        store.append("r1", [cancel("b"), at(3, DONE)], RUNNING, 1),
      ]);
      assert.deepEqual(results.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
      const log = await store.events("r1", 0, 9);
      assert.equal((await store.get("r1"))?.length, log.length);
      assert.deepEqual(
        log.map(({ seq }) => seq),
        log.map((_, i) => i + 1),
      );
      await assert.rejects(store.append("r1", [at(9, DONE)], RUNNING, 1), { code: "E_RUN_CONFLICT" });
      await assert.rejects(store.append("none", [at(2, DONE)], RUNNING, 1), { code: "E_RUN_NOT_FOUND" });
    });

    it("gives each run to one conductor, and to another only when its lease is over", async () => {
      await using stores = await open();
      const store = stores.workflows;
      await begun(store, "r1");
      await begun(store, "r2");
      assert.deepEqual(await store.take(ME, 100, 1, 0), { runIds: ["r1"], nextFreeMs: 0 });
      assert.deepEqual(await store.take(OTHER, 120, 9, 99), { runIds: ["r2"], nextFreeMs: 100 });
      assert.deepEqual(await store.take(OTHER, 200, 9, 100), { runIds: ["r1"] });
      assert.deepEqual(await store.survey("i1"), []);
      const surveyed = await store.survey("i2");
      assert.deepEqual(
        surveyed.toSorted((a, b) => (a.runId < b.runId ? -1 : 1)),
        [
          { runId: "r1", length: 1 },
          { runId: "r2", length: 1 },
        ],
      );
      assert.deepEqual(await store.renew("i1", 300), []);
      assert.deepEqual((await store.renew("i2", 300)).toSorted(), ["r1", "r2"]);
      await assert.rejects(store.append("r1", [at(2, DONE)], RUNNING, 1, "i1"), { code: "E_CONDUCTOR_LOST" });
      await store.append("r1", [at(2, DONE)], RUNNING, 1, "i2");
      assert.equal((await store.get("r1"))?.conductor, "other");
    });

    it("gives its runs back at once to a conductor that has started again", async () => {
      await using stores = await open();
      const store = stores.workflows;
      await begun(store, "r1");
      await store.take(ME, 1e9, 9, 0);
      assert.deepEqual((await store.take(ME, 1e9, 9, 0)).runIds, []);
      assert.deepEqual((await store.take({ ...ME, instance: "i9" }, 1e9, 9, 0)).runIds, ["r1"]);
    });

    it("leaves a run to nobody once it is released, or has ended", async () => {
      await using stores = await open();
      const store = stores.workflows;
      await begun(store, "r1");
      await store.take(ME, 1e9, 9, 0);
      await store.release("i1");
      assert.deepEqual((await store.take(OTHER, 1e9, 9, 0)).runIds, ["r1"]);
      await store.append(
        "r1",
        [at(2, { kind: "end", state: "cancelled" })],
        { state: "cancelled", asking: 0 },
        3,
        "i2",
      );
      assert.equal((await store.get("r1"))?.conductor, undefined);
      assert.deepEqual(await store.take(ME, 1e9, 9, 2e9), { runIds: [] });
    });

    it("lists runs, newest first, in pages, by state, workflow and whether they wait for a person", async () => {
      await using stores = await open();
      const store = stores.workflows;
      for (const id of ["r1", "r2", "r3"]) await begun(store, id);
      await store.append(
        "r2",
        [at(2, { kind: "ask", step: "a", attempt: 1, question: "?" })],
        { state: "running", asking: 1 },
        1,
      );
      await store.append("r3", [at(2, { kind: "end", state: "failed" })], { state: "failed", asking: 0 }, 1);
      const first = await store.list({ limit: 2 });
      assert.deepEqual(ids(first), ["r3", "r2"]);
      const second = await store.list({ limit: 2, cursor: first.nextCursor });
      assert.deepEqual([ids(second), second.nextCursor], [["r1"], undefined]);
      assert.deepEqual(ids(await store.list({ limit: 9, state: "failed" })), ["r3"]);
      assert.deepEqual(ids(await store.list({ limit: 9, asking: true })), ["r2"]);
      assert.deepEqual(ids(await store.list({ limit: 9, workflow: "none" })), []);
      await assert.rejects(store.list({ limit: 9, cursor: "s1" }), { code: "E_INVALID_INPUT" });
    });

    it("deletes runs that ended long ago with their logs, and no others", async () => {
      await using stores = await open();
      const store = stores.workflows;
      for (const id of ["r1", "r2", "r3"]) await begun(store, id, 0, `key-${id}`);
      for (const [id, nowMs] of [
        ["r1", 10],
        ["r2", 30],
      ] as const)
        await store.append(
          id,
          [at(2, { kind: "end", state: "failed" })],
          { state: "failed", asking: 0 },
          nowMs,
        );
      assert.equal(await store.prune(20, 9), 1);
      assert.deepEqual(await store.events("r1", 0, 9), []);
      assert.deepEqual(
        (await store.list({ limit: 9 })).runs.map(({ id }) => id),
        ["r3", "r2"],
      );
      await begun(store, "r4", 40, "key-r1");
    });

    it("refuses everything once it is closed", async () => {
      const stores = await open();
      await stores.close();
      const { workflows: store } = stores;
      const run = { id: "r", workflow: "w", digest: "" };
      const calls = [
        () => store.create(run, at(1, STARTED), 0),
        () => store.append("r", [at(2, DONE)], RUNNING, 0),
        () => store.events("r", 0, 1),
        () => store.get("r"),
        () => store.list({ limit: 1 }),
        () => store.take(ME, 1, 1, 0),
        () => store.renew("i1", 1),
        () => store.release("i1"),
        () => store.prune(0, 1),
      ];
      for (const call of calls) await assert.rejects(call(), { code: "E_STORE_CLOSED" });
    });
  });
}
