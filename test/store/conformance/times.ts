/** What the passing of time does to tasks. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { claimOf, claimOne, draft, idsOf, leaseOf, type OpenStores } from "./fixtures.ts";

export function timeConformance(open: OpenStores): void {
  it("holds a delayed task back until its instant, without anybody settling", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a", { notBeforeMs: 100 })], 0);
    assert.equal((await stores.tasks.get("a"))?.notBeforeMs, 100);
    assert.deepEqual(await stores.tasks.claim(claimOf(), 99), []);
    assert.equal((await claimOne(stores.tasks, 100)).task.notBeforeMs, undefined);
  });

  it("says which lanes became ready and when the next instant is", async () => {
    await using stores = await open();
    await stores.tasks.insert(
      [
        draft("a", { notBeforeMs: 100 }),
        draft("b", { notBeforeMs: 100 }),
        draft("c", { notBeforeMs: 300, type: "x" }),
      ],
      0,
    );
    assert.deepEqual(await stores.tasks.settleDue(0), { readyLanes: [], deadTaskIds: [], nextDueMs: 100 });
    assert.deepEqual(await stores.tasks.settleDue(100), {
      readyLanes: ["echo"],
      deadTaskIds: [],
      nextDueMs: 300,
    });
    assert.deepEqual(await stores.tasks.settleDue(300), { readyLanes: ["x"], deadTaskIds: [] });
  });

  it("gives a task back whose lease is over, at its old place, and refuses the old lease", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a"), draft("b")], 0);
    const old = leaseOf(await claimOne(stores.tasks, 0, { leaseUntilMs: 100 }));
    assert.deepEqual(await stores.tasks.settleDue(99), { readyLanes: [], deadTaskIds: [], nextDueMs: 100 });
    assert.deepEqual(await stores.tasks.settleDue(100), { readyLanes: ["echo"], deadTaskIds: [] });

    assert.equal((await stores.tasks.get("a"))?.history.at(-1)?.kind, "expired");
    const taken = await claimOne(stores.tasks, 101);
    assert.deepEqual([taken.task.id, taken.token, taken.task.attempt], ["a", 2, 2]);
    await assert.rejects(stores.tasks.settle(old, { kind: "completed", result: {} }, 102), {
      code: "E_LEASE_LOST",
    });
    await assert.rejects(stores.tasks.renew(old, 900, 102), { code: "E_LEASE_LOST" });
  });

  it("lets a claim take an expired lease's task over, and reports it at the next settling", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a", { maxAttempts: 2 }), draft("b", { maxAttempts: 1 })], 0);
    await stores.tasks.claim(claimOf({ limit: 2, leaseUntilMs: 100 }), 0);
    assert.deepEqual(idsOf(await stores.tasks.claim(claimOf({ limit: 2 }), 100)), ["a"]);
    const outcome = await stores.tasks.settleDue(100);
    assert.deepEqual(outcome, { readyLanes: ["echo"], deadTaskIds: ["b"], nextDueMs: 1000 });
    assert.deepEqual((await stores.tasks.settleDue(100)).deadTaskIds, []);
  });

  it("dead-letters a task whose workers went away too often, with its history", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a", { maxAttempts: 2 })], 0);
    await claimOne(stores.tasks, 0, { leaseUntilMs: 100 });
    await claimOne(stores.tasks, 100, { leaseUntilMs: 200 });
    assert.deepEqual((await stores.tasks.settleDue(200)).deadTaskIds, ["a"]);

    const task = await stores.tasks.get("a");
    assert.deepEqual([task?.state, task?.deadLetter, task?.attempt], ["failed", true, 2]);
    assert.deepEqual([task?.error?.code, task?.error?.failureClass], ["E_LEASE_EXPIRED", "lost"]);
    assert.deepEqual(
      task?.history.map((event) => event.kind),
      ["submitted", "claimed", "expired", "claimed", "dead-lettered"],
    );
  });

  it("settles a flood in parts, and says that there is more", async () => {
    await using stores = await open();
    await stores.tasks.insert(
      Array.from({ length: 1001 }, (_, i) => draft(`t${i}`, { notBeforeMs: 10 })),
      0,
    );
    assert.equal((await stores.tasks.settleDue(20)).nextDueMs, 10);
    assert.equal((await stores.tasks.settleDue(20)).nextDueMs, undefined);
    assert.equal((await stores.tasks.stats(20)).ready, 1001);
  });
}
