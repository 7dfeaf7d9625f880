/** Two thousand tasks on one queue that four node processes share, also while its server is restarted. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { Client } from "pg";
import { connect } from "../../src/connect.ts";
import { type NodeProcess, startNode, temporaryFolder } from "../support/node-process.ts";
import { noPostgres, type PostgresServer, startPostgres } from "../support/postgres.ts";

const TASKS = 2000;
const NODES = 4;
/** Callers of each node. */
const CALLERS = 8;
const skip = noPostgres;

/** How often something happened to tasks, by the queue's own record. */
interface Record {
  readonly completed: number;
  /** Tasks that were completed, each counted once. */
  readonly tasks: number;
  readonly claimed: number;
}

const RECORD = `
  SELECT sum(CASE WHEN kind = 'completed' THEN 1 ELSE 0 END) AS completed,
         count(DISTINCT CASE WHEN kind = 'completed' THEN seq END) AS tasks,
         sum(CASE WHEN kind = 'claimed' THEN 1 ELSE 0 END) AS claimed FROM history`;

function recordOf(row: { readonly [name: string]: unknown } | undefined): Record {
  return {
    completed: Number(row?.["completed"]),
    tasks: Number(row?.["tasks"]),
    claimed: Number(row?.["claimed"]),
  };
}

async function nodes(
  folder: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<NodeProcess[]> {
  const started: NodeProcess[] = [];
  for (let i = 0; i < NODES; i++)
    started.push(await startNode(join(folder, `node-${i}`), ["--no-p2p", ...args], "serve", { env }));
  return started;
}

/** Submits all tasks through all nodes, and waits for each result at the node after the one that took it. */
async function workload(all: readonly NodeProcess[], onDone: (done: number) => void): Promise<number> {
  const clients = await Promise.all(all.map((node) => connect(node.mcp, { retries: 0 })));
  const startedAt = performance.now();
  let given = 0;
  let done = 0;
  const caller = async (at: number): Promise<void> => {
    const [here, there] = [clients[at], clients[(at + 1) % NODES]];
    assert.ok(here && there);
    while (given < TASKS) {
      given++;
      const task = { task_type: "echo", model_name: "", payload: { n: given } };
      const { task_id: id } = await here.call("p2p_taskqueue_submit", task);
      const answer: { readonly [name: string]: unknown } = await there.call("p2p_taskqueue_wait_task", {
        task_id: String(id),
        timeout_s: 50,
      });
      const ended = answer["task"];
      assert.ok(typeof ended === "object" && ended !== null && "status" in ended, String(id));
      assert.equal(ended.status, "completed");
      onDone(++done);
    }
  };
  await Promise.all(Array.from({ length: NODES * CALLERS }, (_, i) => caller(i % NODES)));
  const ms = performance.now() - startedAt;
  await Promise.all(clients.map((client) => client.close()));
  return ms;
}

async function ofDatabase(server: PostgresServer): Promise<Record> {
  const client = new Client({ connectionString: server.url() });
  await client.connect();
  try {
    return recordOf(
      (await client.query<{ [name: string]: unknown }>(RECORD.replace("history", "mcplusplus.history")))
        .rows[0],
    );
  } finally {
    await client.end();
  }
}

function report(name: string, ms: number, { claimed }: Record): void {
  const rate = Math.round((TASKS * 1000) / ms);
  process.stdout.write(
    `# ${name}: ${TASKS} tasks, ${claimed} claims, ${Math.round(ms)} ms, ${rate} tasks/s\n`,
  );
}

describe("two thousand tasks on four node processes", { skip, timeout: 600_000 }, () => {
  it("are each completed exactly once in one file", async () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "shared.db");
    const all = await nodes(folder.path, ["--database", file], {});
    let ms = 0;
    try {
      ms = await workload(all, () => undefined);
    } finally {
      await Promise.all(all.map((node) => node.stop()));
    }
    const db = new DatabaseSync(file, { readOnly: true });
    const record = recordOf(db.prepare(RECORD).get());
    db.close();
    report("SQLite", ms, record);
    assert.deepEqual(record, { completed: TASKS, tasks: TASKS, claimed: TASKS });
  });

  for (const mode of ["no restart", "fast", "crash"] as const) {
    it(`are each completed exactly once in PostgreSQL (${mode} of the server)`, async () => {
      using folder = temporaryFolder();
      const server = await startPostgres();
      const all = await nodes(folder.path, [], { MCPP_STORE: server.url() });
      let restarted = Promise.resolve();
      const restart = async (): Promise<void> => {
        await server.stop(mode === "crash" ? "crash" : "fast");
        await server.start();
      };
      try {
        const ms = await workload(all, (done) => {
          if (done === TASKS / 2 && mode !== "no restart") restarted = restart();
        });
        await restarted;
        const record = await ofDatabase(server);
        report(`PostgreSQL, ${mode}`, ms, record);
        assert.deepEqual([record.completed, record.tasks], [TASKS, TASKS]);
        // Leases hold over a restart, so nothing is even begun twice.
        assert.equal(record.claimed, TASKS);
      } finally {
        await Promise.all(all.map((node) => node.stop()));
        await server.remove();
      }
    });
  }
});
