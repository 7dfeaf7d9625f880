/**
 * Kills a node again and again while clients submit and work, and then counts.
 *
 * MCPP_KILL_CYCLES sets how many kills, MCPP_KILL_LANES how many nodes are killed side by side, each in a folder of
 * its own, and MCPP_SEED when. `npm run test:kill` kills a thousand times.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type Client, connect } from "../../src/index.ts";
import { checkSqliteStore } from "../../src/store/index.ts";
import { type NodeProcess, startNode, temporaryFolder } from "../support/node-process.ts";
import { seeded } from "../support/random.ts";

const CYCLES = Number(process.env["MCPP_KILL_CYCLES"] ?? 50);
const LANES = Number(process.env["MCPP_KILL_LANES"] ?? 1);
const SUBMITTERS = 4;
const WORKERS = 3;
/** A node is killed after so many acknowledgements at most, however fast the machine is. */
const MOST_ACKNOWLEDGED = 60;
/** A node that acknowledges less than that is killed after this long. */
const LIFE_LIMIT_MS = 10_000;
const SEED = Number(process.env["MCPP_SEED"] ?? 20_260_101);

/** What clients know for certain, because they were told. */
interface Ledger {
  readonly submitted: Set<string>;
  /** The token under which the completion of a task was accepted, each time one was. */
  readonly accepted: Map<string, number[]>;
}

/** Repeats `step` until the connection breaks, which is how each client notices the kill. */
async function untilBroken(step: () => Promise<void>): Promise<void> {
  try {
    for (;;) await step();
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.match(
      error.name,
      /^(ConnectionLostError|UnreachableError|CancelledError|DeadlineError)$/,
      String(error),
    );
  }
}

async function submitSome(client: Client, ledger: Ledger): Promise<void> {
  const answer = await client.call("p2p_taskqueue_submit", {
    task_type: "count",
    model_name: "",
    payload: {},
  });
  ledger.submitted.add(String(answer["task_id"]));
}

async function workSome(client: Client, ledger: Ledger, workerId: string): Promise<void> {
  const types = { worker_id: workerId, supported_task_types: ["count"], lease_s: 1, wait_s: 0.2 };
  const { task } = await client.call("p2p_taskqueue_claim_next", types);
  if (typeof task !== "object" || task === null || !("task_id" in task) || !("lease_token" in task)) return;
  const { task_id: taskId, lease_token: token } = task;
  const done = await client.callTool("p2p_taskqueue_complete_task", {
    task_id: taskId,
    lease_token: token,
    result: { token },
  });
  if (done.isError === true) return;
  const tokens = ledger.accepted.get(String(taskId)) ?? [];
  ledger.accepted.set(String(taskId), [...tokens, Number(token)]);
}

async function oneLife(node: NodeProcess, ledger: Ledger, acknowledged: number): Promise<void> {
  const options = { retries: 0, timeoutMs: 10_000 };
  const clients = await Promise.all(
    Array.from({ length: SUBMITTERS + WORKERS }, () => connect(node.mcp, options)),
  );
  const loads = clients.map((client, i) =>
    untilBroken(() => (i < SUBMITTERS ? submitSome(client, ledger) : workSome(client, ledger, `w${i}`))),
  );
  const count = (): number => ledger.submitted.size + ledger.accepted.size;
  const [enough, limitAt] = [count() + acknowledged, performance.now() + LIFE_LIMIT_MS];
  while (count() < enough && performance.now() < limitAt)
    await new Promise((resolve) => setTimeout(resolve, 1));
  await node.kill();
  await Promise.all(loads);
  await Promise.all(clients.map((client) => client.close()));
}

/** Kills the node of one folder `cycles` times. @returns what its clients were told */
async function oneLane(folder: string, cycles: number, seed: number): Promise<Ledger> {
  const random = seeded(seed);
  const ledger: Ledger = { submitted: new Set(), accepted: new Map() };
  let node: NodeProcess | undefined;
  try {
    for (let cycle = 0; cycle < cycles; cycle++) {
      node = await startNode(folder, ["--workers", "0", "--no-p2p"]);
      await oneLife(node, ledger, random.below(MOST_ACKNOWLEDGED));
    }
  } finally {
    await node?.kill();
  }
  return ledger;
}

/** Compares what clients were told with what a node that lives again has. */
async function assertNothingLost(node: NodeProcess, ledger: Ledger): Promise<void> {
  await using client = await connect(node.mcp);
  const lost: string[] = [];
  const undone: string[] = [];
  for (const taskId of ledger.submitted) {
    const { task } = await client.call("p2p_taskqueue_get_task", { task_id: taskId });
    if (task === null) lost.push(taskId);
    const tokens = ledger.accepted.get(taskId);
    const completed =
      typeof task === "object" && task !== null && "status" in task && task.status === "completed";
    if (tokens !== undefined && !completed) undone.push(taskId);
  }
  assert.deepEqual(lost, []);
  assert.deepEqual(undone, []);
  const twice = [...ledger.accepted].filter(([, tokens]) => tokens.length > 1);
  assert.deepEqual(twice, []);
}

describe(`a node killed ${CYCLES} times under load`, { timeout: 7_200_000 }, () => {
  const folders = Array.from({ length: LANES }, () => temporaryFolder());
  after(() => {
    for (const folder of folders) folder[Symbol.dispose]();
  });

  it("opens its database each time, loses no acknowledged task, and accepts no result twice", async (t) => {
    const cycles = Math.ceil(CYCLES / LANES);
    const ledgers = await Promise.all(folders.map(({ path }, lane) => oneLane(path, cycles, SEED + lane)));
    for (const [lane, ledger] of ledgers.entries()) {
      const { submitted, accepted } = ledger;
      t.diagnostic(`seed ${SEED + lane}: ${submitted.size} tasks and ${accepted.size} results acknowledged`);
      assert.ok(submitted.size > cycles, `only ${submitted.size} tasks were acknowledged`);
      assert.ok(accepted.size > cycles / 2, `only ${accepted.size} results were accepted`);
      const path = folders[lane]?.path ?? "";
      assert.deepEqual(checkSqliteStore(join(path, "queue.db")).findings, []);
      const node = await startNode(path, ["--workers", "0", "--no-p2p"]);
      try {
        await assertNothingLost(node, ledger);
        assert.equal(await node.stop(), 0);
      } finally {
        await node.kill();
      }
    }
  });
});
