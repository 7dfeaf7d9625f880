/**
 * Five nodes in processes of their own, 500 workflow tasks submitted at random ones, two nodes killed and one joining in
 * the middle: all through the seven tools, as hosts use them.
 *
 * MCPP_SEED sets who is submitted to; MCPP_WORKFLOW_LIMIT_S how long it may take, which is meant for a machine that is
 * not busy with other things.
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import type { Client } from "../../src/client/index.ts";
import { connect } from "../../src/connect.ts";
import { silentLogger } from "../../src/logger.ts";
import { checkSqliteStore, STORE_ENGINES } from "../../src/store/index.ts";
import type { Task } from "../../src/task/task.ts";
import { type NodeProcess, startNode, temporaryFolder } from "../support/node-process.ts";
import { seeded } from "../support/random.ts";

const TASKS = 500;
const SEED = Number(process.env["MCPP_SEED"] ?? 20_261_122);
const LIMIT_MS = Number(process.env["MCPP_WORKFLOW_LIMIT_S"] ?? 60) * 1000;
/** When it is given up. */
const HANG_MS = 240_000;
/** How many submits are under way at once. */
const SUBMITTERS = 8;
/** What a host needs for a task; more than nothing, so that the killed nodes have some in their hands. */
const WORK_MS = 20;
/** How long a host waits when there was no task for it. */
const IDLE_MS = 100;
const VICTIMS = [3, 4];

const nextSchema = z.object({
  task: z.object({ task_id: z.string(), assigned_peer: z.string(), home_peer: z.string() }).nullable(),
});
const completedSchema = z.object({ success: z.boolean(), delivered: z.boolean().optional() });
const statusSchema = z.object({ pending_tasks: z.number(), assigned_tasks: z.number() });

/** A folder, the node that lives in it, and the host that works through it. */
class Member {
  readonly index: number;
  readonly folder: string;
  readonly #args: readonly string[];
  node: NodeProcess | undefined;
  #client: Client | undefined;
  #working: Promise<void> | undefined;
  #stopped = false;
  /** Ids of tasks whose completion was accepted by their homes. */
  readonly accepted: string[] = [];
  /** How many completions were kept until their homes are back. */
  kept = 0;
  /** How many it was given that its own node had, that its hash named it for, and in all. */
  readonly given = { own: 0, asOwner: 0, all: 0 };

  constructor(root: string, index: number) {
    this.index = index;
    this.folder = join(root, String(index));
    mkdirSync(this.folder, { recursive: true });
    const meet = ["--peer-folder", join(root, "peers"), "--mdns", "off", "--announce-file", "off"];
    this.#args = [...meet, "--workers", "0", "--lease", "3s", "--heartbeat", "1s"];
  }

  async start(): Promise<void> {
    this.node = await startNode(this.folder, this.#args);
    this.#client = await connect(this.node.mcp);
    this.#stopped = false;
  }

  /** Its host begins to work. */
  work(): void {
    this.#working = this.#workOn();
  }

  async call(tool: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    if (!this.#client) throw new Error("not started");
    const { structuredContent } = await this.#client.callTool(tool, args);
    return structuredContent;
  }

  async kill(): Promise<void> {
    this.#stopped = true;
    await this.node?.kill();
    this.node = undefined;
    await this.#working;
    await this.#client?.close().catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#working;
    await this.#client?.close();
    await this.node?.stop();
    this.node = undefined;
  }

  async #workOn(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#workOnce();
      } catch (error) {
        // What a host sees of a node that was killed.
        if (!this.#stopped) throw error;
      }
    }
  }

  async #workOnce(): Promise<void> {
    const { task } = nextSchema.parse(await this.call("p2p_get_next_task"));
    if (task === null) {
      await sleep(IDLE_MS);
      return;
    }
    const self = this.node?.peer_id;
    this.given.all += 1;
    if (task.home_peer === self) this.given.own += 1;
    if (task.assigned_peer === self) this.given.asOwner += 1;
    await sleep(WORK_MS);
    const done = { task_id: task.task_id, home_peer: task.home_peer, result: { by: this.index } };
    const answer = await this.call("p2p_mark_task_complete", done);
    const { success, delivered } = completedSchema.parse(answer);
    // One that waits until its home is back may come too late: then somebody else's counts.
    if (success && delivered === true) this.accepted.push(task.task_id);
    else if (success) this.kept += 1;
  }

  async open(): Promise<number> {
    const { pending_tasks, assigned_tasks } = statusSchema.parse(await this.call("p2p_scheduler_status"));
    return pending_tasks + assigned_tasks;
  }

  /** All tasks of its queue, read from the file of the stopped node. */
  async tasks(): Promise<readonly Task[]> {
    const path = join(this.folder, "queue.db");
    assert.deepEqual(checkSqliteStore(path).findings, []);
    const stores = await STORE_ENGINES.sqlite({ path, logger: silentLogger });
    try {
      const { tasks } = await stores.tasks.list({ limit: 1000 });
      const whole = await Promise.all(tasks.map(({ id }) => stores.tasks.get(id)));
      return whole.filter((task) => task !== undefined);
    } finally {
      await stores.close();
    }
  }
}

async function untilDone(members: readonly Member[], startedAt: number): Promise<number> {
  for (;;) {
    const open = await Promise.all(members.map((member) => member.open()));
    if (open.every((count) => count === 0)) return performance.now() - startedAt;
    if (performance.now() - startedAt > HANG_MS) assert.fail(`open tasks: ${open.join(", ")}`);
    await sleep(200);
  }
}

describe("a fleet that works on workflow tasks", { timeout: 2 * HANG_MS }, () => {
  const root = temporaryFolder();
  const members = Array.from({ length: 6 }, (_, index) => new Member(root.path, index));
  const fleet = members.slice(0, 5);
  const late = members[5];
  after(async () => {
    await Promise.all(members.map((member) => member.kill()));
    root[Symbol.dispose]();
  });

  it("completes every task once, though two nodes are killed and one joins", async (t) => {
    assert.ok(late);
    const random = seeded(SEED);
    await Promise.all(fleet.map((member) => member.start()));
    const startedAt = performance.now();
    const ids = Array.from({ length: TASKS }, (_, i) => `task-${i}`);
    const submit = async (): Promise<void> => {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
        const task = { task_id: id, workflow_id: "fleet", name: id, tags: ["p2p-only"] };
        const answer = await random
          .pick(fleet)
          .call("p2p_submit_task", { ...task, priority: 1 + random.below(10) });
        assert.ok(z.object({ success: z.literal(true) }).safeParse(answer).success, JSON.stringify(answer));
      }
    };
    for (const member of fleet) member.work();
    await Promise.all(Array.from({ length: SUBMITTERS }, submit));
    const submittedMs = performance.now() - startedAt;

    const victims = fleet.filter(({ index }) => VICTIMS.includes(index));
    const survivors = fleet.filter(({ index }) => !VICTIMS.includes(index));
    const openAtKill = await Promise.all(members.slice(0, 5).map((member) => member.open()));
    await Promise.all(victims.map((member) => member.kill()));
    await late.start();
    late.work();
    const survivorsMs = await untilDone([...survivors, late], startedAt);
    await Promise.all(victims.map((member) => member.start()));
    for (const member of victims) member.work();
    const doneMs = await untilDone(members, startedAt);
    await Promise.all(members.map((member) => member.stop()));

    const tasks = (await Promise.all(members.map((member) => member.tasks()))).flat();
    const accepted = members.flatMap((member) => member.accepted);
    const kept = members.reduce((sum, member) => sum + member.kept, 0);
    const given = members.map(
      ({ given: { own, asOwner, all } }) => `${all} (${own} own, ${asOwner} as owner)`,
    );
    t.diagnostic(
      `submitted in ${submittedMs.toFixed(0)} ms; open when two were killed: ${openAtKill.join(", ")}`,
    );
    t.diagnostic(
      `all of the surviving homes done after ${survivorsMs.toFixed(0)} ms, all after ${doneMs.toFixed(0)} ms`,
    );
    t.diagnostic(
      `given out: ${given.join("; ")}; accepted: ${accepted.length}, kept for a home that was away: ${kept}`,
    );
    assert.equal(tasks.length, TASKS);
    assert.deepEqual(
      tasks
        .filter(({ state }) => state !== "completed")
        .map(({ payload, state }) => [payload["task_id"], state]),
      [],
    );
    const ends = tasks.map(({ history }) => history.filter(({ kind }) => kind === "completed").length);
    assert.ok(ends.every((count) => count === 1));
    assert.equal(new Set(accepted).size, accepted.length, "a completion was accepted twice");
    assert.ok(Math.max(...openAtKill) > 0, "nothing was left to do when the nodes were killed");
    assert.ok(doneMs < LIMIT_MS, `it took ${doneMs} ms`);
  });
});
