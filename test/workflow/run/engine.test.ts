import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openMemoryStores } from "../../../src/store/index.ts";
import { CONDUCTOR_LEASE_MS } from "../../../src/workflow/run/limits.ts";
import type { RunView } from "../../../src/workflow/run/workflows.ts";
import { settled, TestClock } from "../../support/clock.ts";
import { openEngine } from "./engine.ts";

function states({ steps }: RunView): Record<string, string> {
  return Object.fromEntries(steps.map(({ id, state }) => [id, state]));
}

const PIPELINE = {
  name: "pipeline",
  inputs: { n: { type: "number", default: 3 } },
  steps: [
    { id: "list", task: "list", payload: { n: "${{ inputs.n }}" } },
    {
      id: "each",
      task: "square",
      for_each: "steps.list.result.items",
      width: 2,
      payload: { x: "${{ item }}", label: "no ${{ index }} of ${{ length(steps.list.result.items) }}" },
    },
    { id: "sum", task: "sum", payload: { of: "${{ steps.each.result }}" } },
    { id: "never", task: "sum", depends_on: ["sum"], when: "steps.sum.result.total > 1000" },
  ],
  output: { total: "${{ steps.sum.result.total }}" },
};

function compute({
  type,
  payload,
}: {
  readonly type: string;
  readonly payload: Readonly<Record<string, unknown>>;
}): Record<string, unknown> {
  if (type === "list") return { items: Array.from({ length: Number(payload["n"]) }, (_, i) => i + 1) };
  if (type === "square") return { y: Number(payload["x"]) ** 2, label: payload["label"] };
  const { of } = payload;
  if (!Array.isArray(of)) throw new Error("not a list");
  return { total: of.reduce((sum: number, { y }: { y: number }) => sum + y, 0) };
}

describe("a workflow run", () => workflowRuns(false));
describe("a workflow run at a peer", () => workflowRuns(true));

function workflowRuns(far: boolean): void {
  it("passes results on, fans out over a list no wider than it says, and gathers the results in order", async () => {
    await using engine = openEngine({ far });
    const { runId } = await engine.flows.run({ workflow: PIPELINE, inputs: { n: 5 } });
    const widths: number[] = [];
    const done: string[] = [];
    for (let claims = await engine.claim(); claims.length > 0; claims = await engine.claim()) {
      widths.push(claims.length);
      for (const { task, lease } of claims.toReversed()) {
        done.push(task.type);
        await engine.queue.complete(lease, compute(task));
      }
    }
    const run = await engine.finish(runId);
    assert.deepEqual(run.output, { total: 55 });
    assert.deepEqual(states(run), {
      list: "completed",
      each: "completed",
      sum: "completed",
      never: "skipped",
    });
    assert.equal(Math.max(...widths), 2);
    const each = run.steps[1]?.result;
    assert.deepEqual(
      each,
      [1, 4, 9, 16, 25].map((y, i) => ({ y, label: `no ${i} of 5` })),
    );
    assert.deepEqual((await engine.flows.replay(runId)).identical, true);
  });

  it("starts once for one idempotency key", async () => {
    await using engine = openEngine({ far });
    const request = { workflow: PIPELINE, inputs: { n: 1 }, idempotencyKey: "k" };
    const first = await engine.flows.run(request);
    assert.deepEqual(await engine.flows.run(request), { runId: first.runId, created: false });
    await assert.rejects(engine.flows.run({ ...request, inputs: { n: 2 } }), {
      code: "E_IDEMPOTENCY_CONFLICT",
    });
  });

  it("goes on in another process after the conductor has died, and once only", async () => {
    const stores = openMemoryStores();
    const clock = new TestClock();
    const dead = openEngine({ far, stores, clock, conductor: "dead" });
    const { runId } = await dead.flows.run({ workflow: PIPELINE, inputs: { n: 2 } });
    const [claimed] = await dead.claim();
    assert.ok(claimed);
    // Its queue and conductor are gone, but nobody was told: its word still holds.
    const release = stores.workflows.release.bind(stores.workflows);
    stores.workflows.release = async () => undefined;
    await dead[Symbol.asyncDispose]();
    stores.workflows.release = release;
    await using other = openEngine({ far, stores, clock, conductor: "other" });
    await other.queue.complete(claimed.lease, compute(claimed.task));
    assert.deepEqual(await other.work(compute), []);
    clock.jump(CONDUCTOR_LEASE_MS + 1);
    const done = await other.work(compute);
    assert.deepEqual(
      done.map(({ type }) => type),
      ["square", "square", "sum"],
    );
    assert.deepEqual((await other.finish(runId)).output, { total: 5 });
    assert.equal((await other.flows.replay(runId)).identical, true);
  });

  it("goes on at once after a restart of the same node, with the tasks that it had", async () => {
    const stores = openMemoryStores();
    const clock = new TestClock();
    const before = openEngine({ far, stores, clock });
    const { runId } = await before.flows.run({ workflow: PIPELINE, inputs: { n: 2 } });
    const [list] = await before.claim();
    assert.ok(list);
    await before.queue.complete(list.lease, compute(list.task));
    const squares = await before.claim();
    await before[Symbol.asyncDispose]();
    await using after = openEngine({ far, stores, clock });
    for (const { task, lease } of squares) await after.queue.complete(lease, compute(task));
    const done = await after.work(compute);
    assert.deepEqual([squares.length, done.map(({ type }) => type)], [2, ["sum"]]);
    assert.equal((await after.finish(runId)).state, "completed");
  });

  it("tries a failed step again after its pause, under a new task, and then gives up", async () => {
    await using engine = openEngine({ far });
    const steps = [{ id: "a", task: "t", retries: 2, retry_delay: "10s" }];
    const { runId } = await engine.flows.run({ workflow: { name: "w", steps } });
    const ids = new Set<string>();
    for (const jump of [0, 10_000, 10_000]) {
      engine.clock.jump(jump);
      const done = await engine.work((task) => {
        throw new Error(`no ${task.id.length}`);
      });
      assert.equal(done.length, 1);
      for (const { id } of done) ids.add(id);
    }
    const run = await engine.finish(runId);
    assert.deepEqual([run.state, run.steps[0]?.attempts, ids.size], ["failed", 3, 3]);
    assert.match(run.error?.message ?? "", /step 'a': no 32/);
  });

  it("keeps what completed when it is retried, and runs again what failed and what comes after", async () => {
    await using engine = openEngine({ far });
    const workflow = {
      name: "w",
      steps: [
        { id: "ok", task: "t" },
        { id: "each", task: "t", depends_on: ["ok"], for_each: [1, 2, 3], payload: { x: "${{ item }}" } },
        { id: "after", task: "t", depends_on: ["each"] },
        { id: "cleanup", task: "t", depends_on: ["each"], after: "failed" },
      ],
    };
    const { runId } = await engine.flows.run({ workflow });
    const failed = await engine.finish(runId, ({ payload }) => {
      if (payload["x"] === 2) throw new Error("two");
      return {};
    });
    const was = { ok: "completed", each: "failed", after: "skipped", cleanup: "completed" };
    assert.deepEqual(states(failed), was);
    assert.match(failed.error?.message ?? "", /1 of 3 items failed; the first is item 1: two/);
    await engine.flows.retry(runId, undefined);
    const done = await engine.work();
    assert.deepEqual(
      done.map(({ payload }) => payload["x"] ?? "-"),
      [2, "-"],
    );
    const run = await engine.finish(runId);
    assert.deepEqual(states(run), {
      ok: "completed",
      each: "completed",
      after: "completed",
      cleanup: "skipped",
    });
    await engine.flows.retry(runId, "ok");
    assert.equal((await engine.work()).length, 5);
    assert.equal((await engine.finish(runId)).state, "completed");
    assert.equal((await engine.flows.replay(runId)).identical, true);
  });

  it("cancels its tasks, also one that a worker has, and can be gone on with", async () => {
    await using engine = openEngine({ far });
    const workflow = {
      name: "w",
      steps: [
        { id: "a", task: "t" },
        { id: "b", task: "t", depends_on: ["a"] },
      ],
    };
    const { runId } = await engine.flows.run({ workflow });
    const [claimed] = await engine.claim();
    assert.ok(claimed);
    await engine.flows.cancel(runId, "enough");
    await settled();
    const run = await engine.finish(runId);
    assert.deepEqual([run.state, states(run)], ["cancelled", { a: "cancelled", b: "cancelled" }]);
    await assert.rejects(engine.queue.complete(claimed.lease, {}), { code: "E_LEASE_LOST" });
    await assert.rejects(engine.flows.cancel(runId, ""), { code: "E_RUN_STATE" });
    await engine.flows.retry(runId, undefined);
    assert.equal((await engine.finish(runId, () => ({}))).state, "completed");
    assert.equal((await engine.flows.replay(runId)).identical, true);
  });

  it("stops an attempt that takes too long, and tries again if it may", async () => {
    await using engine = openEngine({ far });
    const steps = [{ id: "a", task: "t", timeout: "20s", retries: 1 }];
    const { runId } = await engine.flows.run({ workflow: { name: "w", steps } });
    const [first] = await engine.claim();
    engine.clock.jump(20_000);
    const [second] = await engine.claim();
    assert.ok(first && second && first.task.id !== second.task.id);
    assert.equal((await engine.queue.get(first.task.id))?.state, "cancelled");
    engine.clock.jump(20_000);
    await settled();
    const run = await engine.finish(runId);
    assert.equal(run.steps[0]?.error?.code, "E_DEADLINE");
    assert.equal((await engine.flows.replay(runId)).identical, true);
  });

  it("waits for a person, whose answer is a result", async () => {
    await using engine = openEngine({ far });
    const workflow = {
      name: "w",
      steps: [
        { id: "build", task: "t", payload: { version: "1.2" } },
        { id: "ask", approval: "Ship ${{ steps.build.result.version }}?" },
        { id: "ship", task: "t", payload: { to: "${{ steps.ask.result.value }}" } },
      ],
    };
    const { runId } = await engine.flows.run({ workflow });
    await engine.work();
    assert.equal((await engine.flows.get(runId))?.steps[1]?.question, "Ship 1.2?");
    assert.deepEqual(
      (await engine.flows.list({ asking: true })).runs.map(({ id }) => id),
      [runId],
    );
    await assert.rejects(engine.flows.answer(runId, { step: "ship", approved: true }), {
      code: "E_RUN_STATE",
    });
    await engine.flows.answer(runId, { step: "ask", approved: true, value: "eu" });
    const run = await engine.finish(runId);
    assert.deepEqual(run.steps[2]?.result, { to: "eu" });
    await assert.rejects(engine.flows.answer(runId, { step: "ask", approved: false }), {
      code: "E_RUN_STATE",
    });
  });

  it("fails where the answer is no, or does not come in time", async () => {
    await using engine = openEngine({ far });
    const workflow = { name: "w", steps: [{ id: "ask", approval: "Sure?", timeout: "1h" }] };
    const no = await engine.flows.run({ workflow });
    const late = await engine.flows.run({ workflow });
    await settled();
    await engine.flows.answer(no.runId, { step: "ask", approved: false, comment: "not yet" });
    await settled();
    engine.clock.jump(3_600_000);
    await settled();
    assert.match((await engine.finish(no.runId)).error?.message ?? "", /owner said no: not yet/);
    assert.match((await engine.finish(late.runId)).error?.message ?? "", /not done within/);
  });

  it("fails a step whose reference has no value, alone, and says which", async () => {
    await using engine = openEngine({ far });
    const workflow = {
      name: "w",
      steps: [
        { id: "a", task: "t" },
        { id: "b", task: "t", payload: { x: "${{ steps.a.result.missing }}" }, allow_failure: true },
        { id: "c", task: "t", payload: { x: "${{ default(steps.a.result.missing, 7) }}" } },
        {
          id: "each",
          task: "t",
          depends_on: ["a"],
          for_each: [{ x: 1 }, {}],
          payload: { x: "${{ item.x }}" },
        },
      ],
    };
    const { runId } = await engine.flows.run({ workflow });
    const run = await engine.finish(runId, (task) => task.payload);
    assert.deepEqual(states(run), { a: "completed", b: "failed", c: "completed", each: "failed" });
    assert.match(run.steps[1]?.error?.message ?? "", /steps\.a\.result\.missing has no value/);
    assert.deepEqual(run.steps[2]?.result, { x: 7 });
    assert.deepEqual(run.steps[3]?.items, { total: 2, completed: 1, failed: 1, open: 0 });
  });

  it("refuses a result that is too large for its log", async () => {
    await using engine = openEngine({ far });
    const { runId } = await engine.flows.run({ workflow: { name: "w", steps: [{ id: "a", task: "t" }] } });
    const run = await engine.finish(runId, () => ({ text: "x".repeat(1024 * 1024) }));
    assert.equal(run.steps[0]?.error?.code, "E_MESSAGE_TOO_LARGE");
  });

  it("explains for each step who has it and why it waits", async () => {
    await using engine = openEngine({ far });
    const { runId } = await engine.flows.run({ workflow: PIPELINE });
    await settled();
    const queued = await engine.flows.explain(runId);
    assert.match(queued.steps[0]?.tasks[0]?.why ?? "", /waits for a worker that takes tasks of type list/);
    assert.match(queued.steps[1]?.why ?? "", /waits for 'list'/);
    assert.match(queued.why, /^here conducts the run/);
    await engine.claim();
    const [list] = (await engine.flows.explain(runId)).steps;
    assert.deepEqual([list?.tasks[0]?.workerId, list?.tasks[0]?.state], ["w", "running"]);
    assert.match(list?.tasks[0]?.why ?? "", /worker w claimed it/);
  });

  it("tells who waits, when it has ended or its log has grown", async () => {
    await using engine = openEngine({ far });
    const { runId } = await engine.flows.run({ workflow: { name: "w", steps: [{ id: "a", task: "t" }] } });
    await settled();
    const { length = 0 } = (await engine.flows.get(runId)) ?? {};
    const grown = engine.flows.wait(runId, { timeoutMs: 60_000, after: length });
    const ended = engine.flows.wait(runId, { timeoutMs: 60_000 });
    const inVain = engine.flows.wait(runId, { timeoutMs: 5 });
    await settled();
    engine.clock.jump(5);
    assert.equal((await inVain).state, "running");
    await engine.work();
    assert.ok((await grown).length > length);
    assert.equal((await ended).state, "completed");
    await assert.rejects(engine.flows.wait("none", { timeoutMs: 1 }), { code: "E_RUN_NOT_FOUND" });
  });
}
