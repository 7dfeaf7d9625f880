/**
 * Kills the owner of a queue and the worker that works for it from another process, at their worst moments.
 *
 * A round: the owner dies while tasks run; their results come to wait in the worker's outbox; the worker dies with
 * them; both come back; the owner dies once more while the results are delivered. MCPP_KILL_ROUNDS sets how many
 * rounds, of three kills each; MCPP_SEED when each kill comes.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "../../src/index.ts";
import { checkSqliteStore } from "../../src/store/index.ts";
import { type NodeProcess, startNode, temporaryFolder } from "../support/node-process.ts";
import { type Random, seeded } from "../support/random.ts";

const ROUNDS = Number(process.env["MCPP_KILL_ROUNDS"] ?? 1);
const SEED = Number(process.env["MCPP_SEED"] ?? 20_260_101);
const TASKS_A_ROUND = 6;
/** Short, so that what died with the worker is soon given out again. */
const LEASE = ["--lease", "3s"];
/** Results go to the outbox after three seconds without their queue. */
const OUTBOX_LIMIT_MS = 30_000;

/** The two folders, and whoever lives in them now. */
class Fleet {
  readonly #ownerFolder = temporaryFolder();
  readonly #workerFolder = temporaryFolder();
  owner: NodeProcess | undefined;
  worker: NodeProcess | undefined;

  async startOwner(): Promise<NodeProcess> {
    return (this.owner = await startNode(this.#ownerFolder.path, ["--workers", "0", ...LEASE]));
  }

  async startWorker(owner: string): Promise<NodeProcess> {
    const announced = ["--announce-files", join(this.#ownerFolder.path, "announce.json")];
    const args = ["--work-for", owner, ...announced, "--workers", "4", ...LEASE];
    return (this.worker = await startNode(this.#workerFolder.path, args, "worker"));
  }

  /** How many results wait in the worker's outbox; looked at as a user would, beside the running worker. */
  waitingResults(): number {
    return checkSqliteStore(join(this.#workerFolder.path, "queue.db")).outbox;
  }

  /** Nothing may be damaged, whatever was killed when. */
  checkFiles(): void {
    for (const { path } of [this.#ownerFolder, this.#workerFolder]) {
      assert.deepEqual(checkSqliteStore(join(path, "queue.db")).findings, []);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.owner?.kill();
    await this.worker?.kill();
    this.#ownerFolder[Symbol.dispose]();
    this.#workerFolder[Symbol.dispose]();
  }
}

async function submitSome(owner: NodeProcess, random: Random): Promise<string[]> {
  await using client = await connect(owner.mcp);
  const ids: string[] = [];
  for (let i = 0; i < TASKS_A_ROUND; i++) {
    const payload = { sleep_ms: 300 + random.below(400), i };
    const answer = await client.call("p2p_taskqueue_submit", { task_type: "echo", model_name: "", payload });
    ids.push(String(answer["task_id"]));
  }
  return ids;
}

async function untilResultsWait(fleet: Fleet): Promise<number> {
  const giveUpAt = performance.now() + OUTBOX_LIMIT_MS;
  for (;;) {
    const waiting = fleet.waitingResults();
    if (waiting > 0 || performance.now() > giveUpAt) return waiting;
    await sleep(50);
  }
}

async function round(
  fleet: Fleet,
  random: Random,
): Promise<{ readonly ids: string[]; readonly waited: number }> {
  const owner = await fleet.startOwner();
  await fleet.startWorker(owner.peer_id);
  const ids = await submitSome(owner, random);
  await sleep(100 + random.below(500));
  await owner.kill();
  const waited = await untilResultsWait(fleet);
  await sleep(random.below(300));
  await fleet.worker?.kill();
  const again = await fleet.startOwner();
  await fleet.startWorker(owner.peer_id);
  await sleep(random.below(1500));
  await again.kill();
  return { ids, waited };
}

/** Waits for the tasks at a queue whose owner lives. @returns those that are not there, or completed not just once */
async function notDoneOnce(owner: NodeProcess, ids: readonly string[]): Promise<string[]> {
  await using client = await connect(owner.mcp);
  const wrong: string[] = [];
  for (const taskId of ids) {
    const options = { timeoutMs: 90_000 };
    const wait = { task_id: taskId, timeout_s: 80 };
    const { task } = await client.call("p2p_taskqueue_wait_task", wait, options);
    const done = typeof task === "object" && task !== null && "status" in task && task.status === "completed";
    if (!done) wrong.push(`${taskId}: ${JSON.stringify(task)}`);
  }
  return wrong;
}

describe(`the owner of a queue and its worker, killed ${ROUNDS * 3} times`, { timeout: 7_200_000 }, () => {
  const fleet = new Fleet();
  after(() => fleet[Symbol.asyncDispose]());

  it("lose no acknowledged task, and bring every result home once", async (t) => {
    const random = seeded(SEED);
    let waited = 0;
    for (let n = 0; n < ROUNDS; n++) {
      const played = await round(fleet, random);
      waited += played.waited;
      const owner = await fleet.startOwner();
      assert.deepEqual(await notDoneOnce(owner, played.ids), [], `round ${n}, seed ${SEED}`);
      fleet.checkFiles();
      assert.equal(await fleet.worker?.stop(), 0);
      assert.equal(await owner.stop(), 0);
    }
    t.diagnostic(`seed ${SEED}: ${waited} results waited in the outbox when the worker was killed`);
    assert.ok(waited > 0, "no result ever waited in the outbox");
  });
});
