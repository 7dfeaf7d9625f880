/**
 * A workflow of twenty steps fans out over three nodes, each of which is killed once while it runs.
 *
 * `npm run test:flow` runs it; MCPP_SEED sets when each kill comes.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { type Client, connect } from "../../src/index.ts";
import { checkSqliteStore } from "../../src/store/index.ts";
import { type AttemptKey, runEventSchema } from "../../src/workflow/run/events.ts";
import { type NodeProcess, spawnMcpp, startNode, temporaryFolder } from "../support/node-process.ts";
import { seeded } from "../support/random.ts";

const SEED = Number(process.env["MCPP_SEED"] ?? 20_260_101);
const ITEMS = 30;
/** Short, so that what died with a worker is soon given out again. */
const LEASE = ["--lease", "3s"];
const LIMIT_MS = 240_000;

/** Twenty steps: a list, a fan-out over it, another over its results, a ladder of steps, and what gathers them. */
function workflowText(): string {
  const ladder = Array.from(
    { length: 15 },
    (_, i) => `
  - id: rung${i}
    task: echo
    depends_on: [${i === 0 ? "collect" : `rung${i - 1}`}${i % 3 === 2 ? `, rung${i - 2}` : ""}]
    payload: { n: ${i}, sleep_ms: 700 }`,
  );
  return `
name: kill-me
inputs: { items: { type: number } }
steps:
  - id: plan
    task: echo
    payload: { items: "\${{ range(inputs.items) }}" }
  - id: spread
    task: echo
    for_each: steps.plan.result.echo.items
    width: 12
    payload: { item: "\${{ item }}", sleep_ms: 400 }
  - id: again
    task: echo
    for_each: steps.spread.result
    width: 12
    payload: { was: "\${{ item.echo.item }}", sleep_ms: 200 }
  - id: collect
    task: echo
    payload: { all: "\${{ steps.again.result }}" }${ladder.join("")}
  - id: last
    task: echo
    payload: { count: "\${{ length(steps.collect.result.echo.all) }}", top: "\${{ steps.rung14.result.echo.n }}" }
output:
  count: \${{ steps.last.result.echo.count }}
  top: \${{ steps.last.result.echo.top }}
  order: \${{ steps.again.result }}
`;
}

const answerSchema = z.object({
  run: z.looseObject({ state: z.string(), events: z.int(), output: z.unknown().optional() }),
  events: z.array(runEventSchema).optional(),
});

type Shown = z.infer<typeof answerSchema>;

async function show(client: Client, runId: string, more: object = {}): Promise<Shown> {
  return answerSchema.parse(await client.call("workflow_show", { run_id: runId, ...more }));
}

const historySchema = z.object({
  task: z.object({ history: z.array(z.object({ worker_id: z.string().optional() })) }),
});

/** The workers that have claimed one of these tasks. */
async function workersOf(client: Client, taskIds: readonly string[]): Promise<Set<string>> {
  const workers = new Set<string>();
  for (const taskId of taskIds) {
    const { task } = historySchema.parse(await client.call("p2p_taskqueue_get_task", { task_id: taskId }));
    for (const { worker_id: worker } of task.history) if (worker !== undefined) workers.add(worker);
  }
  return workers;
}

/** Gives out tasks until all three nodes have had one. */
async function untilAllWork(client: Client): Promise<void> {
  for (let workers = new Set<string>(); workers.size < 3;) {
    const ids: string[] = [];
    for (let i = 0; i < 12; i++) {
      const task = { task_type: "echo", model_name: "", payload: { sleep_ms: 300 } };
      ids.push(String((await client.call("p2p_taskqueue_submit", task))["task_id"]));
    }
    for (const taskId of ids)
      await client.call("p2p_taskqueue_wait_task", { task_id: taskId, timeout_s: 30 });
    workers = new Set([...workers, ...(await workersOf(client, ids))]);
  }
}

/** Waits until the log has `events` events; they are written as tasks end. */
async function untilGrown(owner: NodeProcess, runId: string, events: number): Promise<void> {
  await using client = await connect(owner.mcp);
  for (let seen = 0; seen < events;) {
    const { run } = await show(client, runId, { wait_s: 20, after: seen });
    assert.equal(run.state, "running", "the run ended before all nodes were killed");
    seen = run.events;
  }
}

async function command(folder: string, ...args: readonly string[]): Promise<string> {
  const child = spawnMcpp(args, folder);
  let out = "";
  child.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
  await new Promise((resolve) => child.once("close", resolve));
  return out;
}

async function wholeLog(client: Client, runId: string): Promise<NonNullable<Shown["events"]>> {
  const log: NonNullable<Shown["events"]> = [];
  for (;;) {
    const { events = [] } = await show(client, runId, { events_after: log.length });
    if (events.length === 0) return log;
    log.push(...events);
  }
}

function nameOf({ step, item, attempt }: AttemptKey): string {
  return `${step}:${item}:${attempt}`;
}

describe("a workflow over three nodes, each killed once", { timeout: LIMIT_MS }, () => {
  const folders = [temporaryFolder(), temporaryFolder(), temporaryFolder()] as const;
  const nodes = new Map<string, NodeProcess>();
  after(async () => {
    for (const node of nodes.values()) await node.kill();
    for (const folder of folders) folder[Symbol.dispose]();
  });
  const [home, one, two] = folders;
  const startOwner = async (): Promise<NodeProcess> => {
    const node = await startNode(home.path, ["--workers", "2", ...LEASE]);
    nodes.set("owner", node);
    return node;
  };
  const startHelper = async (name: string, folder: string, owner: string): Promise<NodeProcess> => {
    const announced = ["--announce-files", join(home.path, "announce.json")];
    const node = await startNode(
      folder,
      ["--work-for", owner, ...announced, "--workers", "3", ...LEASE],
      "worker",
    );
    nodes.set(name, node);
    return node;
  };

  it("completes with every result in its place, each accepted once, and replays bit for bit", async (t) => {
    const random = seeded(SEED);
    const startedAt = performance.now();
    let owner = await startOwner();
    const first = await startHelper("one", one.path, owner.peer_id);
    const second = await startHelper("two", two.path, owner.peer_id);
    let runId: string;
    {
      await using client = await connect(owner.mcp);
      await untilAllWork(client);
      const receipt = await client.call("workflow_run", {
        workflow: workflowText(),
        inputs: { items: ITEMS },
      });
      runId = String(receipt["run_id"]);
    }
    await untilGrown(owner, runId, 30);
    await sleep(random.below(300));
    await first.kill();
    await startHelper("one", one.path, owner.peer_id);
    await sleep(random.below(300));
    await owner.kill();
    owner = await startOwner();
    await untilGrown(owner, runId, 60);
    await sleep(random.below(300));
    await second.kill();
    await startHelper("two", two.path, owner.peer_id);

    await using client = await connect(owner.mcp);
    let shown = await show(client, runId, { wait_s: 20 });
    while (shown.run.state === "running") shown = await show(client, runId, { wait_s: 20 });
    const order = Array.from({ length: ITEMS }, (_, was) => ({ echo: { was, sleep_ms: 200 } }));
    assert.deepEqual(shown.run.output, { count: ITEMS, top: 14, order });

    const log = await wholeLog(client, runId);
    const attempts = log.flatMap((event) => (event.kind === "submit" ? [nameOf(event)] : []));
    const ended = log.flatMap((event) => (event.kind === "finished" ? [nameOf(event)] : []));
    assert.equal(attempts.length, 2 * ITEMS + 18);
    assert.equal(new Set(attempts).size, attempts.length, "an attempt was decided twice");
    assert.equal(new Set(ended).size, ended.length, "an attempt ended twice");
    const replayed = await client.call("workflow_replay", { run_id: runId });
    assert.deepEqual([replayed["identical"], replayed["events"]], [true, log.length]);
    assert.match(await command(home.path, "flow", "replay", runId, "--node", owner.mcp), /all the same/);

    const ids = log.flatMap((event) => (event.kind === "submitted" ? [event.taskId] : []));
    const workers = await workersOf(client, ids);
    assert.equal(workers.size, 3, [...workers].join());
    for (const node of nodes.values()) assert.equal(await node.stop(), 0);
    assert.deepEqual(checkSqliteStore(join(home.path, "queue.db")).findings, []);
    t.diagnostic(`seed ${SEED}: ${log.length} events, ${Math.round(performance.now() - startedAt)} ms`);
  });
});

const SHARED = `
name: shared
steps:
  - { id: first, task: echo }
  - { id: ask, approval: Go on?, depends_on: [first] }
  - { id: last, task: echo, payload: { said: "\${{ steps.ask.result.comment }}" } }
output: \${{ steps.last.result.echo.said }}
`;

describe("two nodes with one database", { timeout: LIMIT_MS }, () => {
  it("take a run over from the one that was killed, and finish it", async () => {
    using home = temporaryFolder();
    using beside = temporaryFolder();
    const database = ["--database", join(home.path, "queue.db"), "--no-p2p"];
    const nodes = [await startNode(home.path, database), await startNode(beside.path, database)] as const;
    try {
      const runId = await started(nodes[0]);
      const [one, two] = nodes;
      const conductor = await untilAsking(one, runId);
      const [dies, lives] = conductor.endsWith(`:${home.path}`) ? [one, two] : [two, one];
      await dies.kill();
      await using client = await connect(lives.mcp);
      await client.call("workflow_approve", { run_id: runId, step: "ask", approved: true, comment: "yes" });
      let shown = await show(client, runId, { wait_s: 20 });
      while (shown.run.state === "running") shown = await show(client, runId, { wait_s: 20 });
      assert.equal(shown.run.output, "yes");
      assert.equal((await client.call("workflow_replay", { run_id: runId }))["identical"], true);
    } finally {
      for (const node of nodes) await node.kill();
    }
  });
});

async function started(node: NodeProcess): Promise<string> {
  await using client = await connect(node.mcp);
  return String((await client.call("workflow_run", { workflow: SHARED }))["run_id"]);
}

/** Waits until a person is asked. @returns who conducts the run */
async function untilAsking(node: NodeProcess, runId: string): Promise<string> {
  await using client = await connect(node.mcp);
  for (let seen = 0; ;) {
    const { run } = await show(client, runId, { wait_s: 20, after: seen });
    if (run["waits_for_approval"] === true) return String(run["conductor"]);
    seen = run.events;
  }
}
