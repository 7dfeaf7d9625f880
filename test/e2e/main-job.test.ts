/** The main job, with real processes: a client submits at A, B does it, and the result comes back through A. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type Client, connect } from "../../src/index.ts";
import {
  type NodeProcess,
  startNode,
  type TemporaryFolder,
  temporaryFolder,
} from "../support/node-process.ts";

const LEASE_MS = 2000;
const LEASE = ["--lease", `${LEASE_MS}ms`];

interface Row {
  readonly task_id: string;
  readonly status: string;
  readonly assigned_worker: string | null;
  readonly attempt: number;
  readonly result: { readonly echo?: unknown } | null;
}

function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && "task_id" in value && "status" in value;
}

function rowOf(answer: Readonly<Record<string, unknown>>): Row {
  const { task } = answer;
  assert.ok(isRow(task), JSON.stringify(answer));
  return task;
}

async function submitEcho(client: Client, payload: object): Promise<string> {
  const answer = await client.call("p2p_taskqueue_submit", { task_type: "echo", model_name: "", payload });
  assert.equal(typeof answer["task_id"], "string");
  return String(answer["task_id"]);
}

async function waitFor(client: Client, taskId: string, timeoutS = 60): Promise<Row> {
  const options = { timeoutMs: (timeoutS + 10) * 1000 };
  return rowOf(
    await client.call("p2p_taskqueue_wait_task", { task_id: taskId, timeout_s: timeoutS }, options),
  );
}

/** Waits until a worker has the task, by asking as a user would. */
async function untilRunning(client: Client, taskId: string): Promise<Row> {
  for (;;) {
    const row = rowOf(await client.call("p2p_taskqueue_get_task", { task_id: taskId }));
    if (row.status !== "queued") return row;
  }
}

/** Waits until another worker than before has the task, or it has ended. */
async function untilTakenOver(client: Client, before: Row): Promise<Row> {
  for (;;) {
    const row = rowOf(await client.call("p2p_taskqueue_get_task", { task_id: before.task_id }));
    const elsewhere = row.status === "running" && row.assigned_worker !== before.assigned_worker;
    if (elsewhere || row.status === "completed" || row.status === "failed") return row;
  }
}

describe("a durable task from a client, through A, done by B", () => {
  const folders: TemporaryFolder[] = [];
  const nodes: NodeProcess[] = [];
  const folder = (): string => {
    const made = temporaryFolder();
    folders.push(made);
    return made.path;
  };
  const start = async (...args: Parameters<typeof startNode>): Promise<NodeProcess> => {
    const node = await startNode(...args);
    nodes.push(node);
    return node;
  };
  after(async () => {
    for (const node of nodes) await node.kill();
    for (const made of folders) made[Symbol.dispose]();
  });

  it("comes back with what B made of it", async () => {
    const a = await start(folder(), ["--workers", "0", ...LEASE]);
    const b = await start(folder(), ["--work-for", a.multiaddrs[0] ?? "", ...LEASE], "worker");
    await using client = await connect(a.mcp);
    const row = await waitFor(client, await submitEcho(client, { n: 1 }));
    assert.equal(row.status, "completed");
    assert.deepEqual(row.result?.echo, { n: 1 });
    assert.ok(row.assigned_worker?.endsWith(b.peer_id.slice(-8)), `${row.assigned_worker} is not B`);
    assert.equal(await b.stop(), 0);
    assert.equal(await a.stop(), 0);
    for (const node of [a, b])
      assert.doesNotMatch(node.stderr(), /"level":[45]0/, "an ordinary end is no reason to warn");
  });

  it("is taken over within lease + 1 s when the worker that has it is killed", async () => {
    const a = await start(folder(), ["--workers", "0", ...LEASE]);
    const work = ["--work-for", a.multiaddrs[0] ?? "", "--workers", "1", ...LEASE];
    const workers = [await start(folder(), work, "worker"), await start(folder(), work, "worker")];
    await using client = await connect(a.mcp);
    const taskId = await submitEcho(client, { sleep_ms: 3000 });
    const first = await untilRunning(client, taskId);
    const killed = workers.find(({ peer_id }) => first.assigned_worker?.endsWith(peer_id.slice(-8)));
    assert.ok(killed, `${first.assigned_worker} is none of the workers`);
    const killedAt = performance.now();
    await killed.kill();
    const second = await untilTakenOver(client, first);
    const takenAfterMs = performance.now() - killedAt;
    assert.equal(second.status, "running");
    assert.ok(takenAfterMs < LEASE_MS + 1000, `taken over after ${takenAfterMs} ms`);
    const row = await waitFor(client, taskId);
    assert.equal(row.status, "completed");
    assert.equal(row.attempt, 2);
    for (const worker of workers) await worker.stop();
    await a.stop();
  });

  it("survives the kill of A: B delivers to the next A, and the client waits there by the id", async () => {
    const home = folder();
    const announce = join(home, "announce.json");
    const a = await start(home, ["--workers", "0", "--lease", "20s"]);
    const b = await start(
      folder(),
      ["--work-for", a.peer_id, "--announce-files", announce, "--workers", "1", "--lease", "20s"],
      "worker",
    );
    const client = await connect(a.mcp);
    const taskId = await submitEcho(client, { sleep_ms: 1500, from: "before" });
    await untilRunning(client, taskId);
    await a.kill();
    await client.close();
    const again = await start(home, ["--workers", "0", "--lease", "20s"]);
    assert.equal(again.peer_id, a.peer_id);
    await using late = await connect(again.mcp);
    const row = await waitFor(late, taskId);
    assert.equal(row.status, "completed");
    assert.equal(row.attempt, 1, "B's own result was accepted, nobody had to do it again");
    await b.stop();
    await again.stop();
  });

  it("is done by a worker process that shares the queue's file", async () => {
    const home = folder();
    const a = await start(home, ["--workers", "0", "--no-p2p", ...LEASE]);
    const b = await start(
      folder(),
      ["--database", join(home, "queue.db"), "--worker-id", "neighbour", "--no-p2p"],
      "worker",
    );
    await using client = await connect(a.mcp);
    const row = await waitFor(client, await submitEcho(client, { n: 2 }), 20);
    assert.equal(row.status, "completed");
    assert.equal(row.assigned_worker, "neighbour");
    assert.equal(await b.stop(), 0);
    assert.equal(await a.stop(), 0);
  });

  it("wakes a waiting process within 50 ms of the completion", async () => {
    const a = await start(folder(), ["--workers", "0", ...LEASE]);
    await using worker = await connect(a.mcp);
    await using waiter = await connect(a.mcp);
    const delays: number[] = [];
    for (let round = 0; round < 20; round++) {
      const taskId = await submitEcho(worker, { round });
      const waiting = waitFor(waiter, taskId);
      const claim = await worker.call("p2p_taskqueue_claim_next", {
        worker_id: "w",
        supported_task_types: ["echo"],
      });
      assert.equal(rowOf(claim).task_id, taskId);
      await worker.call("p2p_taskqueue_complete_task", { task_id: taskId, result: { round } });
      const completedAt = performance.now();
      await waiting;
      delays.push(performance.now() - completedAt);
    }
    const median = delays.toSorted((x, y) => x - y)[10] ?? Infinity;
    assert.ok(median < 50, `the median wait ended ${median} ms after the completion`);
    await a.stop();
  });
});
