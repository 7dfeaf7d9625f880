/** What lists and figures show, and what pruning forgets. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { DEFAULT_LIST_LIMIT, type TaskFilter } from "../../../src/task/queue.ts";
import type { TaskStore } from "../../../src/task/store.ts";
import { claimOf, claimOne, draft, leaseOf, type OpenStores } from "./fixtures.ts";

const error = { code: "E_X", message: "", failureClass: "internal" };

/** Tasks 0…6: completed, failed, dead, cancelled, running, delayed, ready; even ones of type `echo`, odd of `other`. */
async function oneOfEach(tasks: TaskStore): Promise<void> {
  const drafts = Array.from({ length: 5 }, (_, i) =>
    draft(`t${i}`, { type: i % 2 === 0 ? "echo" : "other" }),
  );
  await tasks.insert([...drafts, draft("t5", { type: "other", notBeforeMs: 1e6 }), draft("t6")], 0);
  const leases = (await tasks.claim(claimOf({ limit: 5, leaseUntilMs: 1e6 }), 0)).map((claim) =>
    leaseOf(claim),
  );
  const [completed, failed, dead] = leases;
  if (!completed || !failed || !dead) throw new Error("expected leases");
  await tasks.settle(completed, { kind: "completed", result: {} }, 10);
  await tasks.settle(failed, { kind: "failed", error, deadLetter: false }, 20);
  await tasks.settle(dead, { kind: "failed", error, deadLetter: true }, 30);
  await tasks.cancel("t3", "", 40);
}

async function idsIn(tasks: TaskStore, filter: TaskFilter): Promise<string> {
  const page = await tasks.list({ ...filter, limit: DEFAULT_LIST_LIMIT });
  return page.tasks.map((task) => task.id).join(" ");
}

export function listConformance(open: OpenStores): void {
  it("lists by state, type and dead letter, oldest first", async () => {
    await using stores = await open();
    await oneOfEach(stores.tasks);
    assert.equal(await idsIn(stores.tasks, {}), "t0 t1 t2 t3 t4 t5 t6");
    assert.equal(await idsIn(stores.tasks, { state: "queued" }), "t5 t6");
    assert.equal(await idsIn(stores.tasks, { state: "running" }), "t4");
    assert.equal(await idsIn(stores.tasks, { state: "completed" }), "t0");
    assert.equal(await idsIn(stores.tasks, { state: "failed" }), "t1 t2");
    assert.equal(await idsIn(stores.tasks, { state: "cancelled" }), "t3");
    assert.equal(await idsIn(stores.tasks, { deadLetter: true }), "t2");
    assert.equal(await idsIn(stores.tasks, { deadLetter: false, state: "failed" }), "t1");
    assert.equal(await idsIn(stores.tasks, { deadLetter: true, state: "queued" }), "");
    assert.equal(await idsIn(stores.tasks, { types: ["other"] }), "t1 t3 t5");
    assert.equal(await idsIn(stores.tasks, { types: ["echo", "other", "echo"], state: "queued" }), "t5 t6");
    assert.equal(await idsIn(stores.tasks, { types: [] }), "t0 t1 t2 t3 t4 t5 t6");
  });

  it("shows of each task what its whole shows, without the bodies", async () => {
    await using stores = await open();
    await oneOfEach(stores.tasks);
    const { tasks } = await stores.tasks.list({ limit: 50 });
    for (const summary of tasks) {
      const whole = await stores.tasks.get(summary.id);
      assert.ok(whole);
      const { payload: _p, result: _r, logs: _l, history: _h, progress: _g, ...rest } = whole;
      assert.deepEqual(summary, rest);
    }
  });

  it("goes through all pages without missing or repeating a task", async () => {
    await using stores = await open();
    await oneOfEach(stores.tasks);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await stores.tasks.list({ limit: 2, types: ["echo", "other"], cursor });
      seen.push(...page.tasks.map((task) => task.id));
      cursor = page.nextCursor;
      await stores.tasks.insert([draft(`new${seen.length}`, { type: "third" })], 0);
    } while (cursor !== undefined);
    assert.deepEqual(seen, ["t0", "t1", "t2", "t3", "t4", "t5", "t6"]);
  });

  it("refuses a cursor that no list returned", async () => {
    await using stores = await open();
    for (const cursor of ["", "1", "s", "s-1", "s1 ", "'; --"]) {
      await assert.rejects(stores.tasks.list({ limit: 1, cursor }), { code: "E_INVALID_INPUT" });
    }
  });

  it("counts tasks by state, and those that could be claimed now", async () => {
    await using stores = await open();
    await oneOfEach(stores.tasks);
    const byState = { queued: 2, running: 1, completed: 1, failed: 2, cancelled: 1 };
    assert.deepEqual(await stores.tasks.stats(500), {
      byState,
      ready: 1,
      deadLetters: 1,
      oldestReadyMs: 500,
    });
    const later = await stores.tasks.stats(1e6);
    assert.deepEqual([later.ready, later.byState], [2, byState]);
  });

  it("says how long the longest waiting task could have been claimed, whatever its priority", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a", { notBeforeMs: 100 }), draft("low", { priority: 1 })], 40);
    await stores.tasks.insert([draft("high", { priority: 9 })], 60);
    assert.equal((await stores.tasks.stats(70)).oldestReadyMs, 30);
    await stores.tasks.cancel("low", "", 70);
    assert.equal((await stores.tasks.stats(70)).oldestReadyMs, 10);
    await stores.tasks.cancel("high", "", 70);
    assert.equal((await stores.tasks.stats(90)).oldestReadyMs, 0);
    assert.equal((await stores.tasks.stats(130)).oldestReadyMs, 30);
    await stores.tasks.settleDue(130);
    assert.equal((await stores.tasks.stats(140)).oldestReadyMs, 40);
  });

  it("forgets tasks that ended before an instant, a few at a time, and nothing else", async () => {
    await using stores = await open();
    await oneOfEach(stores.tasks);
    assert.equal(await stores.tasks.prune(40, 2), 2);
    assert.equal(await stores.tasks.prune(40, 500), 1);
    assert.equal(await idsIn(stores.tasks, {}), "t3 t4 t5 t6");
    assert.equal(await stores.tasks.get("t0"), undefined);
    const { byState, deadLetters } = await stores.tasks.stats(0);
    assert.deepEqual(byState, { queued: 2, running: 1, completed: 0, failed: 0, cancelled: 1 });
    assert.equal(deadLetters, 0);
  });

  it("forgets more tasks than fit into one transaction, with their keys", async () => {
    await using stores = await open();
    const drafts = Array.from({ length: 450 }, (_, i) => draft(`t${i}`, { idempotencyKey: `k${i}` }));
    await stores.tasks.insert(drafts, 0);
    await Promise.all(drafts.map(({ id }) => stores.tasks.cancel(id, "", 1)));
    assert.equal(await stores.tasks.prune(2, 430), 430);
    assert.equal(await stores.tasks.prune(2, 430), 20);
    const [receipt] = await stores.tasks.insert([draft("new", { idempotencyKey: "k0" })], 3);
    assert.deepEqual(receipt, { taskId: "new", created: true });
    assert.equal((await claimOne(stores.tasks, 3)).task.history.length, 2);
  });
}
