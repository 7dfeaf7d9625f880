/** Schedulers of several nodes: to whom tasks go, and that each is completed once whatever happens in between. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { openHost, sleep } from "../../../src/nursery/index.ts";
import { ownerOf } from "../../../src/workflow/index.ts";
import {
  AFFINITY_WINDOW_MS,
  ASKING_MS,
  hashOf,
  type WorkflowTask,
} from "../../../src/workflow/scheduler/index.ts";
import { TestClock } from "../../support/clock.ts";
import { seeded } from "../../support/random.ts";
import { TEST_TIMEOUT_MS } from "../../support/scheduler.ts";
import { Fleet, type FleetNode, LEASE_MS } from "./fleet.ts";

const SEEDS = Number(process.env["MCPP_SCHEDULER_SEEDS"] ?? 6);
const TASKS = 60;

function task(i: number, more: Partial<WorkflowTask> = {}): WorkflowTask {
  return { taskId: `t${i}`, workflowId: "w", name: `n${i}`, tags: [], priority: 5, ...more };
}

/** Runs `body` on a virtual clock, in which every wait takes no time. */
async function onFleet(
  t: TestContext,
  names: readonly string[],
  body: (fleet: Fleet, nodes: readonly FleetNode[]) => Promise<void>,
  seed = 1,
): Promise<void> {
  const clock = new TestClock();
  const fleet = new Fleet(clock, seeded(seed));
  const host = openHost({ clock });
  t.after(() => host.close());
  const nodes = names.map((name) => fleet.join(name));
  await clock.autojump(host.nursery.run(() => body(fleet, nodes)));
  await clock.autojump(fleet.close());
}

/** Takes all that a node can get now. */
async function takeAll({ scheduler }: FleetNode): Promise<string[]> {
  const taken: string[] = [];
  for (let misses = 0; misses < 3;) {
    const given = await scheduler.next();
    if (given) taken.push(given.task.taskId);
    else misses += 1;
  }
  return taken;
}

describe("the scheduler of several nodes", () => {
  it("gives each node the tasks that its hash names, wherever they were submitted", (t) =>
    onFleet(t, ["a", "b", "c"], async (_, nodes) => {
      await sleep(2000);
      for (const { scheduler } of nodes) await scheduler.next();
      await sleep(2000);
      const all = Array.from({ length: 30 }, (__, i) => task(i));
      for (const [i, one] of all.entries()) assert.ok(await nodes[i % 3]?.scheduler.submit(one));
      const candidates = nodes.map(({ peerId }) => ({ peerId }));
      for (const node of nodes) {
        const wanted = all.filter((one) => ownerOf(hashOf(one), candidates) === node.peerId);
        assert.deepEqual((await takeAll(node)).toSorted(), wanted.map(({ taskId }) => taskId).toSorted());
      }
    }));

  it("names the same owner everywhere once views are equal, whatever order they were learnt in", (t) =>
    onFleet(t, ["a", "b", "c", "d", "e", "f", "g"], async (fleet, nodes) => {
      fleet.split();
      for (const { scheduler } of nodes.toReversed()) await scheduler.next();
      await sleep(3000);
      fleet.heal();
      await sleep(3000);
      const views = nodes.map(({ scheduler }) => scheduler.membership.candidates());
      const ids = (view: (typeof views)[number]): string[] => view.map(({ peerId }) => peerId).toSorted();
      for (const view of views) assert.deepEqual(ids(view), ["a", "b", "c", "d", "e", "f", "g"]);
      for (let i = 0; i < 300; i++) {
        const owners = new Set(views.map((view) => ownerOf(hashOf(task(i)), view)));
        assert.equal(owners.size, 1);
      }
    }));

  it("ends with equal clocks on all nodes", (t) =>
    onFleet(t, ["a", "b", "c"], async (_, nodes) => {
      for (const [i, { scheduler }] of nodes.entries())
        for (let n = 0; n <= i; n++) await scheduler.submit(task(10 * i + n));
      await sleep(3000);
      const roots = new Set(nodes.map(({ scheduler }) => scheduler.vector.root));
      assert.equal(roots.size, 1);
      assert.equal(nodes[0]?.scheduler.vector.count("c"), 3n);
    }));

  it("waits for nobody who only sends heartbeats", (t) =>
    onFleet(t, ["a", "idle1", "idle2", "idle3"], async (_, [a]) => {
      assert.ok(a);
      await sleep(3000);
      assert.equal(a.scheduler.membership.live().length, 4);
      for (let i = 0; i < 40; i++) await a.scheduler.submit(task(i));
      assert.equal((await takeAll(a)).length, 40);
    }));

  it("keeps a task for an owner that has asked before, but no longer than the window", (t) =>
    onFleet(t, ["a", "b"], async (fleet, [a, b]) => {
      assert.ok(a && b);
      await sleep(1500);
      await b.scheduler.next();
      await sleep(1500);
      const mine = Array.from({ length: 20 }, (_, i) => task(i)).filter(
        (one) => ownerOf(hashOf(one), [{ peerId: "a" }, { peerId: "b" }]) === "b",
      );
      for (const one of mine) await a.scheduler.submit(one);
      const startedMs = fleet.clock.now();
      assert.equal(await a.scheduler.next(), undefined);
      assert.equal((await a.scheduler.home.explain(mine[0]?.taskId ?? "", "a"))?.why, "kept-for-owner");
      await sleep(AFFINITY_WINDOW_MS);
      assert.equal((await takeAll(a)).length, mine.length);
      assert.ok(fleet.clock.now() - startedMs < ASKING_MS);
    }));

  it("gives the tasks of an owner that is gone to others within one timeout", (t) =>
    onFleet(t, ["a", "b"], async (_, [a, b]) => {
      assert.ok(a && b);
      await sleep(1500);
      await b.scheduler.next();
      await b.crash();
      await sleep(TEST_TIMEOUT_MS);
      for (let i = 0; i < 20; i++) await a.scheduler.submit(task(i));
      assert.equal((await takeAll(a)).length, 20, "at once: nobody else is there");
    }));

  it("gives what stays at home to its home only", (t) =>
    onFleet(t, ["a", "b"], async (_, [a, b]) => {
      assert.ok(a && b);
      await sleep(1500);
      await a.scheduler.submit(task(1, { tags: ["github-api"] }));
      await a.scheduler.submit(task(2, { tags: ["github-api", "p2p-only"] }));
      await sleep(AFFINITY_WINDOW_MS);
      assert.deepEqual(await takeAll(b), ["t2"]);
      assert.deepEqual(await takeAll(a), ["t1"]);
    }));

  it("completes at the home what was taken before the taker started anew, and refuses it to others", (t) =>
    onFleet(t, ["a", "b", "c"], async (_, [a, b, c]) => {
      assert.ok(a && b && c);
      await sleep(1500);
      await a.scheduler.submit(task(1));
      await sleep(AFFINITY_WINDOW_MS);
      assert.equal((await b.scheduler.next())?.task.taskId, "t1");
      await b.crash();
      b.start();
      await sleep(1500);
      assert.equal((await c.scheduler.complete("t1", {})).success, false);
      assert.deepEqual(await b.scheduler.complete("t1", {}), { success: true, delivered: true });
      assert.equal((await a.scheduler.complete("t1", {}, { asHome: true })).success, false);
    }));

  it("finds its tasks again after it was killed", (t) =>
    onFleet(t, ["a"], async (_, [a]) => {
      assert.ok(a);
      for (let i = 0; i < 5; i++) await a.scheduler.submit(task(i, { priority: 1 + i }));
      await a.scheduler.next();
      await a.crash();
      a.start();
      assert.deepEqual(await a.scheduler.home.counts(), { pending: 4, assigned: 1, completed: 0 });
      assert.equal(await a.scheduler.submit(task(4)), false);
      assert.deepEqual(await takeAll(a), ["t3", "t2", "t1", "t0"]);
      await sleep(3 * LEASE_MS);
      assert.equal((await a.scheduler.next())?.task.taskId, "t4");
    }));

  for (let seed = 1; seed <= SEEDS; seed++) {
    it(`completes each task once through splits, crashes, joins and lost answers (seed ${seed})`, (t) =>
      onFleet(t, ["a", "b", "c", "d"], (fleet) => storm(fleet, seed), seed));
  }
});

/** Submits while the network splits and nodes come and go; then heals and looks at every task. */
async function storm(fleet: Fleet, seed: number): Promise<void> {
  const random = seeded(seed * 7919);
  fleet.losesOneIn = 25;
  for (const node of fleet.nodes) node.work(random);
  let submitted = 0;
  for (let step = 0; submitted < TASKS; step++) {
    const up = fleet.nodes.filter(({ isUp }) => isUp);
    for (let n = random.below(8); n > 0 && submitted < TASKS; n--) {
      const chosen = random.pick(up);
      assert.ok(await chosen.scheduler.submit(task(submitted, { priority: 1 + random.below(10) })));
      submitted += 1;
    }
    await sleep(random.below(800));
    const event = random.below(10);
    if (event < 2) fleet.split();
    else if (event === 2) fleet.heal();
    else if (event === 3 && up.length > 2) await random.pick(up).crash();
    else if (event === 4 && fleet.nodes.length < 6) fleet.join(`late${step}`).work(random);
    else if (event === 5) revive(fleet, random);
  }
  fleet.heal();
  revive(fleet, random);
  await untilAllDone(fleet);
  const tasks = (
    await Promise.all(
      fleet.nodes.map(async ({ stores }) => {
        const { tasks: listed } = await stores.tasks.list({ limit: 1000 });
        return Promise.all(listed.map(({ id }) => stores.tasks.get(id)));
      }),
    )
  ).flat();
  assert.equal(tasks.length, TASKS);
  for (const one of tasks) {
    assert.equal(one?.state, "completed");
    assert.equal(one?.history.filter(({ kind }) => kind === "completed").length, 1);
  }
}

function revive(fleet: Fleet, random: ReturnType<typeof seeded>): void {
  for (const node of fleet.nodes) {
    if (node.isUp) continue;
    node.start();
    node.work(random);
  }
}

/** A forgetful host keeps its task until its node gives it up, so nodes are started anew now and then. */
async function untilAllDone(fleet: Fleet): Promise<void> {
  for (let round = 0; round < 40; round++) {
    const open = await Promise.all(
      fleet.nodes.map(async ({ scheduler }) => {
        const { pending, assigned } = await scheduler.home.counts();
        return pending + assigned;
      }),
    );
    if (open.every((count) => count === 0)) return;
    await sleep(LEASE_MS);
    const node = fleet.nodes[round % fleet.nodes.length];
    await node?.crash();
    node?.start();
    node?.work(seeded(round + 1));
  }
  assert.fail("tasks are stuck");
}
