/** What a lease allows, and when it does not hold any more. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { LogLine } from "../../../src/task/task.ts";
import { claimOf, claimOne, draft, idsOf, leaseOf, type OpenStores } from "./fixtures.ts";

const lost = { code: "E_LEASE_LOST" };

function line(n: number): LogLine {
  return { atMs: n, stream: "stdout", message: `line ${n}` };
}

export function leaseConformance(open: OpenStores): void {
  it("holds for longer once it is renewed", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a")], 0);
    const lease = leaseOf(await claimOne(stores.tasks, 0, { leaseUntilMs: 100 }));
    await stores.tasks.renew(lease, 300, 50);
    assert.deepEqual(await stores.tasks.claim(claimOf(), 200), []);
    assert.equal((await stores.tasks.get("a"))?.leaseUntilMs, 300);
    assert.deepEqual(idsOf(await stores.tasks.claim(claimOf(), 300)), ["a"]);
  });

  it("may also be made shorter", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a")], 0);
    const lease = leaseOf(await claimOne(stores.tasks, 0, { leaseUntilMs: 1000 }));
    await stores.tasks.renew(lease, 100, 50);
    assert.equal((await stores.tasks.settleDue(50)).nextDueMs, 100);
    assert.deepEqual(idsOf(await stores.tasks.claim(claimOf(), 100)), ["a"]);
  });

  it("is good for nothing with another token, another holder, or another task", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a")], 0);
    const lease = leaseOf(await claimOne(stores.tasks));
    for (const wrong of [{ token: 2 }, { token: 0 }, { holder: "thief" }, { taskId: "none" }]) {
      const forged = { ...lease, ...wrong };
      await assert.rejects(stores.tasks.renew(forged, 9000, 1), lost);
      await assert.rejects(stores.tasks.note(forged, { progress: { p: 1 } }, 1), lost);
      await assert.rejects(stores.tasks.settle(forged, { kind: "completed", result: {} }, 1), lost);
      await assert.rejects(stores.tasks.settle(forged, { kind: "released", reason: "" }, 1), lost);
    }
    const task = await stores.tasks.get("a");
    assert.deepEqual([task?.state, task?.leaseUntilMs, task?.progress], ["running", 1000, undefined]);
  });

  it("still counts for a renewal and a result when it is overdue and nobody else was given the task", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a"), draft("b")], 0);
    const [a, b] = [leaseOf(await claimOne(stores.tasks)), leaseOf(await claimOne(stores.tasks))];
    await stores.tasks.settle(a, { kind: "completed", result: { late: true } }, 5000);
    await stores.tasks.renew(b, 6000, 5000);
    assert.deepEqual((await stores.tasks.get("a"))?.result, { late: true });
    assert.deepEqual(await stores.tasks.settleDue(5000), {
      readyLanes: [],
      deadTaskIds: [],
      nextDueMs: 6000,
    });
  });

  it("still counts when it was given back to the queue and nobody has claimed it", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a"), draft("b"), draft("c")], 0);
    const claims = await stores.tasks.claim(claimOf({ limit: 3 }), 0);
    const [a, b, c] = claims.map((claim) => leaseOf(claim));
    assert.ok(a && b && c);
    assert.deepEqual((await stores.tasks.settleDue(5000)).readyLanes, ["echo"]);
    await assert.rejects(
      stores.tasks.settle({ ...a, holder: "thief" }, { kind: "completed", result: {} }, 5000),
      lost,
    );
    await assert.rejects(stores.tasks.settle(c, { kind: "released", reason: "" }, 5000), lost);
    await stores.tasks.settle(a, { kind: "completed", result: { late: true } }, 5000);
    await stores.tasks.renew(b, 6000, 5000);
    const done = await stores.tasks.get("a");
    assert.deepEqual([done?.result, done?.history.at(-1)?.token], [{ late: true }, 1]);
    assert.equal((await stores.tasks.get("b"))?.leaseUntilMs, 6000);
    assert.deepEqual(idsOf(await stores.tasks.claim(claimOf({ limit: 3 }), 5000)), ["c"]);
    await assert.rejects(stores.tasks.settle(c, { kind: "completed", result: {} }, 5000), lost);
    assert.equal((await stores.tasks.stats(5000)).ready, 0);
  });

  it("gives a task once, also when it was ready, renewed late and given back", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a"), draft("b")], 0);
    const lease = leaseOf(await claimOne(stores.tasks));
    for (const nowMs of [5000, 7000]) {
      await stores.tasks.settleDue(nowMs);
      await stores.tasks.renew(lease, nowMs + 1000, nowMs);
    }
    await stores.tasks.settle(lease, { kind: "released", reason: "" }, 7000);
    const all = claimOf({ limit: 3, leaseUntilMs: 9000 });
    assert.deepEqual(idsOf(await stores.tasks.claim(all, 7000)), ["a", "b"]);
    assert.deepEqual(await stores.tasks.claim(all, 7000), []);
  });

  it("does not count for anything else when it is overdue", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a")], 0);
    const lease = leaseOf(await claimOne(stores.tasks));
    const error = { code: "E_X", message: "", failureClass: "internal" };
    await assert.rejects(stores.tasks.note(lease, { progress: {} }, 1000), lost);
    await assert.rejects(
      stores.tasks.settle(lease, { kind: "failed", error, deadLetter: false }, 1000),
      lost,
    );
    await assert.rejects(stores.tasks.settle(lease, { kind: "retried", error, notBeforeMs: 0 }, 1000), lost);
    await assert.rejects(stores.tasks.settle(lease, { kind: "released", reason: "" }, 1000), lost);
  });

  it("lets its worker add progress member by member, and log lines, of which the last 200 stay", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a")], 0);
    const lease = leaseOf(await claimOne(stores.tasks));
    await stores.tasks.note(lease, { progress: { done: 1, total: 9 } }, 1);
    await stores.tasks.note(lease, { progress: { done: 2 } }, 2);
    await stores.tasks.note(lease, { logs: [line(0), line(1)] }, 3);
    assert.deepEqual((await stores.tasks.get("a"))?.logs, [line(0), line(1)]);
    await stores.tasks.note(lease, { logs: Array.from({ length: 201 }, (_, i) => line(i + 2)) }, 4);

    const task = await stores.tasks.get("a");
    assert.deepEqual(task?.progress, { done: 2, total: 9 });
    assert.deepEqual([task?.logs.length, task?.logs[0], task?.logs.at(-1)], [200, line(3), line(202)]);
    assert.equal(task?.updatedAtMs, 4);
  });

  it("shows whoever follows the lines beyond those they have seen, without the bodies", async () => {
    await using stores = await open();
    assert.equal(await stores.tasks.news("a", 0), undefined);
    await stores.tasks.insert([draft("a")], 0);
    const lease = leaseOf(await claimOne(stores.tasks));
    const some = (from: number, count: number): LogLine[] =>
      Array.from({ length: count }, (_, i) => line(from + i));
    assert.deepEqual((await stores.tasks.news("a", 0))?.logs, []);
    await stores.tasks.note(lease, { progress: { done: 1 }, logs: some(1, 2) }, 1);
    const { task, ...first } = (await stores.tasks.news("a", 1)) ?? {};
    assert.deepEqual(first, { progress: { done: 1 }, logs: [line(2)], lines: 2 });
    assert.deepEqual([task?.id, task?.state, task?.updatedAtMs], ["a", "running", 1]);
    await stores.tasks.note(lease, { logs: some(3, 200) }, 2);
    const second = await stores.tasks.news("a", 1);
    assert.deepEqual([second?.lines, second?.logs.length, second?.logs[0]], [202, 200, line(3)]);
    for (const beyond of [202, 9e9]) assert.deepEqual((await stores.tasks.news("a", beyond))?.logs, []);
    await stores.tasks.settle(lease, { kind: "released", reason: "" }, 3);
    const again = leaseOf(await claimOne(stores.tasks, 3, { leaseUntilMs: 9000 }));
    await stores.tasks.note(again, { logs: [line(203)] }, 4);
    assert.deepEqual((await stores.tasks.news("a", 202))?.logs, [line(203)]);
  });
}
