/** What every engine's TaskStore must do. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_SCANNED_LANES } from "../../../src/store/stores.ts";
import type { TaskError } from "../../../src/task/task.ts";
import { claimOf, claimOne, draft, idsOf, leaseOf, only, type OpenStores } from "./fixtures.ts";
import { leaseConformance } from "./leases.ts";
import { listConformance } from "./lists.ts";
import { timeConformance } from "./times.ts";

const error: TaskError = { code: "E_TOOL_FAILED", message: "no", failureClass: "internal" };

export function taskStoreConformance(open: OpenStores): void {
  describe("task store", () => {
    describe("insert", () => insertConformance(open));
    describe("claim", () => claimConformance(open));
    describe("leases", () => leaseConformance(open));
    describe("settlement", () => settlementConformance(open));
    describe("cancel", () => cancelConformance(open));
    describe("time", () => timeConformance(open));
    describe("lists and figures", () => listConformance(open));
  });
}

function insertConformance(open: OpenStores): void {
  it("gives a new task back whole", async () => {
    await using stores = await open();
    const payload = { text: "grüße \u2028", nested: [1, null, { a: true }] };
    const receipts = await stores.tasks.insert(
      [draft("a", { payload, modelName: "m", priority: 7, idempotencyKey: "k" })],
      50,
    );

    assert.deepEqual(receipts, [{ taskId: "a", created: true }]);
    assert.deepEqual(await stores.tasks.get("a"), {
      id: "a",
      type: "echo",
      modelName: "m",
      payload,
      priority: 7,
      state: "queued",
      attempt: 0,
      maxAttempts: 3,
      idempotencyKey: "k",
      createdAtMs: 50,
      updatedAtMs: 50,
      logs: [],
      deadLetter: false,
      history: [{ atMs: 50, kind: "submitted" }],
    });
  });

  it("does not know a task that nobody submitted", async () => {
    await using stores = await open();
    assert.equal(await stores.tasks.get("none"), undefined);
    assert.equal(await stores.tasks.leaseOf("none"), undefined);
  });

  it("keeps the payload as it was when the submit was called", async () => {
    await using stores = await open();
    const payload = { n: 1 };
    const inserting = stores.tasks.insert([draft("a", { payload })], 0);
    payload.n = 2;
    await inserting;
    assert.deepEqual((await stores.tasks.get("a"))?.payload, { n: 1 });
  });

  it("gives the same task for the same key and the same work, also after it ended", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a", { idempotencyKey: "k", digest: "d" })], 0);
    await stores.tasks.cancel("a", "enough", 1);
    const again = await stores.tasks.insert([draft("b", { idempotencyKey: "k", digest: "d" })], 2);
    assert.deepEqual(again, [{ taskId: "a", created: false }]);
    assert.equal(await stores.tasks.get("b"), undefined);
  });

  it("refuses the same key for different work, and with it the whole batch", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a", { idempotencyKey: "k", digest: "d" })], 0);
    const batch = [draft("b"), draft("c", { idempotencyKey: "k", digest: "other" })];
    await assert.rejects(stores.tasks.insert(batch, 0), { code: "E_IDEMPOTENCY_CONFLICT" });
    assert.equal(await stores.tasks.get("b"), undefined);
    assert.equal((await stores.tasks.stats(0)).ready, 1);
  });

  it("treats two drafts of one batch with one key like two submits", async () => {
    await using stores = await open();
    const twin = { idempotencyKey: "k", digest: "d" };
    const receipts = await stores.tasks.insert([draft("a", twin), draft("b", twin)], 0);
    assert.deepEqual(receipts, [
      { taskId: "a", created: true },
      { taskId: "a", created: false },
    ]);
    const rivals = [
      draft("c", { idempotencyKey: "q", digest: "1" }),
      draft("d", { idempotencyKey: "q", digest: "2" }),
    ];
    await assert.rejects(stores.tasks.insert(rivals, 0), { code: "E_IDEMPOTENCY_CONFLICT" });
    assert.equal(await stores.tasks.get("c"), undefined);
  });

  it("refuses an id that is taken, and with it the whole batch", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a")], 0);
    await assert.rejects(stores.tasks.insert([draft("b"), draft("a")], 0), { code: "E_INVALID_INPUT" });
    assert.equal(await stores.tasks.get("b"), undefined);
  });

  it("does not let a call that fails spoil those made at the same time", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a", { idempotencyKey: "k" })], 0);
    const outcomes = await Promise.allSettled([
      stores.tasks.insert([draft("b")], 0),
      stores.tasks.insert([draft("x"), draft("y", { idempotencyKey: "k" })], 0),
      stores.tasks.insert([draft("c")], 0),
    ]);
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.deepEqual(idsOf(await stores.tasks.claim(claimOf({ limit: 9 }), 0)), ["a", "b", "c"]);
  });
}

function claimConformance(open: OpenStores): void {
  it("takes higher priorities first, and then the oldest, across lanes", async () => {
    await using stores = await open();
    await stores.tasks.insert(
      [
        draft("low", { priority: 1 }),
        draft("a", { type: "x" }),
        draft("b"),
        draft("high", { priority: 10, type: "y" }),
        draft("c", { type: "x" }),
      ],
      0,
    );
    assert.deepEqual(idsOf(await stores.tasks.claim(claimOf({ limit: 3 }), 0)), ["high", "a", "b"]);
    assert.deepEqual(idsOf(await stores.tasks.claim(claimOf({ limit: 3 }), 0)), ["c", "low"]);
    assert.deepEqual(await stores.tasks.claim(claimOf(), 0), []);
  });

  it("takes only tasks of lanes that suit the worker", async () => {
    await using stores = await open();
    await stores.tasks.insert(
      ["echo", "other", "other", "oth", "z"].map((lane, i) => draft(`${i}`, { lane })),
      0,
    );
    const range = { choice: { lanes: ["z"], ranges: [{ from: "oti" }, { from: "e", before: "oth" }] } };
    assert.deepEqual(idsOf(await stores.tasks.claim(claimOf({ ...only("other"), limit: 5 }), 0)), ["1", "2"]);
    assert.deepEqual(idsOf(await stores.tasks.claim(claimOf({ ...range, limit: 5 }), 0)), ["0", "4"]);
    assert.deepEqual(idsOf(await stores.tasks.claim(claimOf({ limit: 5 }), 0)), ["3"]);
  });

  it("gets to every lane in turn when there are more than one claim looks at", async () => {
    await using stores = await open();
    const lanes = Array.from({ length: 2 * MAX_SCANNED_LANES + 10 }, (_, i) => `l${i}`);
    await stores.tasks.insert(
      lanes.flatMap((lane) => [draft(`${lane}-1`, { lane }), draft(`${lane}-2`, { lane })]),
      0,
    );
    const looked = new Set<string>();
    for (let i = 0; i < 3; i++) {
      const claims = await stores.tasks.claim(claimOf({ limit: 100 }), 0);
      for (const { task } of claims) looked.add(task.id);
    }
    assert.equal(looked.size, 300);
    assert.equal((await stores.tasks.survey([])).readyLanes, undefined);
    for (let i = 0; i < lanes.length; i += 25) {
      for (const { task } of await stores.tasks.claim(claimOf({ limit: 100 }), 0)) looked.add(task.id);
    }
    assert.equal(looked.size, 2 * lanes.length);
  });

  it("gives no more than fits, but one task at least", async () => {
    await using stores = await open();
    const big = { text: "ü".repeat(500) };
    await stores.tasks.insert(
      ["a", "b", "c"].map((id) => draft(id, { payload: big })),
      0,
    );
    const small = { limit: 9, leaseUntilMs: 1000 };
    assert.deepEqual(idsOf(await stores.tasks.claim(claimOf({ ...small, maxBytes: 100 }), 0)), ["a"]);
    const lease = leaseOf(await claimOne(stores.tasks));
    await stores.tasks.note(
      lease,
      { progress: big, logs: [{ atMs: 0, stream: "stdout", message: big.text }] },
      1,
    );
    await stores.tasks.settle(lease, { kind: "released", reason: "" }, 1);
    assert.deepEqual(idsOf(await stores.tasks.claim(claimOf({ ...small, maxBytes: 3900 }), 2)), ["b"]);
    await stores.tasks.insert([draft("d", { payload: big })], 0);
    assert.deepEqual(idsOf(await stores.tasks.claim(claimOf({ ...small, maxBytes: 3900 }), 2)), ["c", "d"]);
  });

  it("hands the task over as it is now, with its lease", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a")], 0);
    const { task, token } = await claimOne(stores.tasks, 5, {
      workerId: "w1",
      holder: "peer",
      leaseUntilMs: 90,
    });
    assert.equal(token, 1);
    assert.deepEqual(task, await stores.tasks.get("a"));
    assert.deepEqual(
      { state: task.state, attempt: task.attempt, workerId: task.workerId, leaseUntilMs: task.leaseUntilMs },
      { state: "running", attempt: 1, workerId: "w1", leaseUntilMs: 90 },
    );
    assert.deepEqual(task.history.at(-1), { atMs: 5, kind: "claimed", workerId: "w1", token: 1 });
    assert.deepEqual(await stores.tasks.leaseOf("a"), {
      taskId: "a",
      token: 1,
      holder: "peer",
      workerId: "w1",
    });
  });

  it("hands each task to exactly one of many concurrent workers", async () => {
    await using stores = await open();
    const drafts = Array.from({ length: 500 }, (_, i) => draft(`t${i}`, { priority: 1 + (i % 10) }));
    await stores.tasks.insert(drafts, 0);
    const taken: string[] = [];
    const work = async (_: unknown, n: number): Promise<void> => {
      for (;;) {
        const claims = await stores.tasks.claim(claimOf({ workerId: `w${n}`, limit: 1 + (n % 4) }), 0);
        if (claims.length === 0) return;
        taken.push(...idsOf(claims));
      }
    };
    await Promise.all(Array.from({ length: 50 }, work));
    assert.deepEqual(taken.toSorted(), drafts.map(({ id }) => id).toSorted());
  });
}

function settlementConformance(open: OpenStores): void {
  it("ends a task with its result, once and for all", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a")], 0);
    const lease = leaseOf(await claimOne(stores.tasks));
    await stores.tasks.settle(lease, { kind: "completed", result: { n: 1 } }, 10);
    await stores.tasks.settle(lease, { kind: "completed", result: { n: 1 } }, 15);
    const finished = { code: "E_TASK_FINISHED" };
    await assert.rejects(stores.tasks.settle(lease, { kind: "completed", result: { n: 2 } }, 20), finished);
    await assert.rejects(
      stores.tasks.settle(lease, { kind: "failed", error, deadLetter: false }, 30),
      finished,
    );

    const task = await stores.tasks.get("a");
    assert.deepEqual([task?.state, task?.result, task?.updatedAtMs], ["completed", { n: 1 }, 10]);
    assert.equal(task?.leaseUntilMs, undefined);
    assert.equal(task?.error, undefined);
    assert.equal(await stores.tasks.leaseOf("a"), undefined);
    await assert.rejects(
      stores.tasks.settle({ ...lease, holder: "thief" }, { kind: "completed", result: {} }, 40),
      {
        code: "E_LEASE_LOST",
      },
    );
    await assert.rejects(stores.tasks.settle(lease, { kind: "released", reason: "" }, 40), {
      code: "E_LEASE_LOST",
    });
  });

  it("keeps why a task failed, how far it got, and whether it is a dead letter", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a"), draft("b")], 0);
    const [a, b] = [leaseOf(await claimOne(stores.tasks)), leaseOf(await claimOne(stores.tasks))];
    await stores.tasks.settle(a, { kind: "failed", error, result: { part: 1 }, deadLetter: false }, 10);
    await stores.tasks.settle(b, { kind: "failed", error, deadLetter: true }, 10);

    const failed = await stores.tasks.get("a");
    assert.deepEqual([failed?.state, failed?.error, failed?.result], ["failed", error, { part: 1 }]);
    assert.deepEqual([failed?.deadLetter, failed?.history.at(-1)?.kind], [false, "failed"]);
    const dead = await stores.tasks.get("b");
    assert.deepEqual([dead?.deadLetter, dead?.history.at(-1)?.kind], [true, "dead-lettered"]);
  });

  it("puts a retried task aside until its time, at its old place", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a"), draft("b")], 0);
    const lease = leaseOf(await claimOne(stores.tasks));
    await stores.tasks.settle(lease, { kind: "retried", error, notBeforeMs: 500 }, 10);

    const waiting = await stores.tasks.get("a");
    assert.deepEqual([waiting?.state, waiting?.notBeforeMs, waiting?.error], ["queued", 500, error]);
    assert.deepEqual(waiting?.history.at(-1), {
      atMs: 10,
      kind: "retried",
      workerId: "w",
      token: 1,
      detail: "E_TOOL_FAILED: no",
    });
    assert.deepEqual(idsOf(await stores.tasks.claim(claimOf({ limit: 5 }), 499)), ["b"]);
    const again = await claimOne(stores.tasks, 500);
    assert.deepEqual(
      [again.task.id, again.token, again.task.attempt, again.task.error],
      ["a", 2, 2, undefined],
    );
  });

  it("makes a retry whose time has come ready at once", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a"), draft("b")], 0);
    const lease = leaseOf(await claimOne(stores.tasks));
    await stores.tasks.settle(lease, { kind: "retried", error, notBeforeMs: 10 }, 10);
    assert.equal((await claimOne(stores.tasks, 10)).task.id, "a");
  });

  it("gives a released task its attempt and its place back, but never its token", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a"), draft("b")], 0);
    const lease = leaseOf(await claimOne(stores.tasks));
    await stores.tasks.settle(lease, { kind: "released", reason: "shutdown" }, 10);

    const task = await stores.tasks.get("a");
    assert.deepEqual([task?.state, task?.attempt, task?.history.at(-1)?.detail], ["queued", 0, "shutdown"]);
    const again = await claimOne(stores.tasks, 11);
    assert.deepEqual([again.task.id, again.token, again.task.attempt], ["a", 2, 1]);
    await assert.rejects(stores.tasks.settle(lease, { kind: "completed", result: {} }, 12), {
      code: "E_LEASE_LOST",
    });
  });

  it("keeps 50 events of a task, the first and the last ones", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a")], 0);
    for (let i = 1; i <= 40; i++) {
      const lease = leaseOf(await claimOne(stores.tasks, i));
      await stores.tasks.settle(lease, { kind: "released", reason: "" }, i);
    }
    const history = (await stores.tasks.get("a"))?.history ?? [];
    assert.equal(history.length, 50);
    assert.deepEqual([history[0]?.kind, history[1]?.token, history.at(-1)?.token], ["submitted", 16, 40]);
  });
}

function cancelConformance(open: OpenStores): void {
  it("ends a waiting task, which nobody can claim any more", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a"), draft("b"), draft("later", { notBeforeMs: 50 })], 0);
    await stores.tasks.cancel("a", "not needed", 5);
    await stores.tasks.cancel("later", "not needed", 5);
    const task = await stores.tasks.get("a");
    assert.equal(task?.state, "cancelled");
    assert.deepEqual(task?.error, { code: "E_CANCELLED", message: "not needed", failureClass: "cancelled" });
    assert.deepEqual(task?.history.at(-1), { atMs: 5, kind: "cancelled", detail: "not needed" });
    assert.deepEqual(idsOf(await stores.tasks.claim(claimOf({ limit: 5 }), 90)), ["b"]);
  });

  it("ends a running task, whose worker can do nothing to it any more", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a")], 0);
    const lease = leaseOf(await claimOne(stores.tasks));
    await stores.tasks.cancel("a", "", 5);
    const lost = { code: "E_LEASE_LOST" };
    await assert.rejects(stores.tasks.renew(lease, 2000, 6), lost);
    await assert.rejects(stores.tasks.settle(lease, { kind: "completed", result: {} }, 6), lost);
    assert.equal((await stores.tasks.settleDue(5000)).readyLanes.length, 0);
  });

  it("refuses a task that is unknown or has ended", async () => {
    await using stores = await open();
    await stores.tasks.insert([draft("a")], 0);
    await assert.rejects(stores.tasks.cancel("none", "", 0), { code: "E_TASK_NOT_FOUND" });
    await stores.tasks.cancel("a", "", 0);
    await assert.rejects(stores.tasks.cancel("a", "", 0), { code: "E_TASK_FINISHED", message: /cancelled/u });
  });
}
