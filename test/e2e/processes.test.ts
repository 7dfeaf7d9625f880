/** One node of several processes, as users start it. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Client as OurClient } from "../../src/client/index.ts";
import { connect } from "../../src/connect.ts";
import { isAlive } from "../../src/process.ts";
import { type NodeProcess, startNode, temporaryFolder } from "../support/node-process.ts";
import { type PostgresServer, noPostgres, startPostgres } from "../support/postgres.ts";

const SERVER = join(
  import.meta.dirname,
  "../../node_modules/@modelcontextprotocol/server-everything/dist/index.js",
);
const LOOK_MS = 25;
const LIMIT_MS = 60_000;
/** The whole of it takes a minute. */
const long =
  process.env["MCPP_PROCESSES"] === undefined ? "it takes a minute: npm run test:processes" : false;

/** The processes whose parent is `pid`. */
function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => parentOf(name) === pid)
    .map(Number);
}

function parentOf(name: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${name}/stat`, "utf8");
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state === "Z" ? undefined : Number(parent);
  } catch {
    // It ended while we looked.
    return undefined;
  }
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  const end = Date.now() + LIMIT_MS;
  while (!isSo()) {
    assert.ok(Date.now() < end, what);
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_MS);
    });
  }
}

const several = (count: number, ...more: readonly string[]): string[] => [
  "--processes",
  String(count),
  "--mdns",
  "off",
  "--drain",
  "5s",
  ...more,
];

/** Submits and waits until told to stop. @returns the ids of all tasks that were acknowledged */
async function load(
  client: OurClient,
  stop: AbortSignal,
  fresh: () => Promise<OurClient>,
): Promise<string[]> {
  const ids: string[] = [];
  while (!stop.aborted) {
    const task = { task_type: "echo", model_name: "", payload: { n: ids.length } };
    const { task_id: id } = await client.call("p2p_taskqueue_submit", task);
    ids.push(String(id));
    const { task: done } = await client.call("p2p_taskqueue_wait_task", {
      task_id: String(id),
      timeout_s: 30,
    });
    assert.ok(typeof done === "object" && done !== null && "status" in done && "attempt" in done);
    assert.deepEqual([done.status, done.attempt], ["completed", 1]);
    // New connections as well as kept ones.
    if (ids.length % 10 === 0) {
      const other = await fresh();
      await other.call("p2p_taskqueue_cache_has", { key: "none" });
      await other.close();
    }
  }
  return ids;
}

/** Calls in one session until told to stop. */
async function oldLoad(client: Client, stop: AbortSignal): Promise<string[]> {
  const answered: string[] = [];
  while (!stop.aborted) {
    const { isError } = await client.callTool({ name: "p2p_taskqueue_cache_has", arguments: { key: "x" } });
    assert.notEqual(isError, true);
    answered.push("");
  }
  return answered;
}

describe("a node of several processes", { skip: process.platform !== "linux", timeout: 300_000 }, () => {
  it("starts a process again that was killed, and leaves none behind when the parent is killed", async () => {
    using folder = temporaryFolder();
    const node = await startNode(folder.path, several(2, "--no-p2p"));
    const [first = 0, second = 0] = childrenOf(node.pid);
    try {
      assert.ok(first > 0 && second > 0);
      await using client = await connect(node.mcp);
      process.kill(second, "SIGKILL");
      await until(
        () => childrenOf(node.pid).filter((pid) => pid !== second).length === 2,
        "not started again",
      );
      const { ok } = await client.call("p2p_taskqueue_status", {});
      assert.equal(ok, true);
    } finally {
      const left = childrenOf(node.pid);
      await node.kill();
      await until(() => left.every((pid) => !isAlive(pid)), "a process outlived its node");
    }
  });

  it(
    "answers alike in every process, whichever has the session, the peers or the mounted server",
    { skip: long },
    async () => {
      using folder = temporaryFolder();
      const mount = `everything=${process.execPath} ${SERVER}`;
      const node = await startNode(folder.path, several(3, "--mount", mount));
      try {
        await until(() => childrenOf(node.pid).length === 3, "not all processes run");
        // Each connection comes to another process.
        for (let i = 0; i < 6; i++) {
          await using client = await connect(node.mcp, { retries: 0 });
          const status = await client.call("p2p_taskqueue_status", { detail: true });
          assert.deepEqual([status["peer_id"], status["processes"]], [node.peer_id, 3]);
          const { content } = await client.callTool("everything__echo", { message: "hello" });
          assert.match(JSON.stringify(content), /hello/);
        }
        await session(node, async (client) => {
          const answers = await Promise.all(
            Array.from({ length: 12 }, () =>
              client.callTool({ name: "p2p_taskqueue_cache_has", arguments: { key: "x" } }),
            ),
          );
          assert.equal(answers.filter(({ isError }) => isError === true).length, 0);
        });
      } finally {
        assert.equal(await node.stop(), 0);
      }
      assert.deepEqual(childrenOf(node.pid), []);
    },
  );

  for (const engine of ["sqlite", "postgres"] as const) {
    const skip = long || (engine === "postgres" && noPostgres);
    it(`refuses no request and loses no task while it is replaced, on ${engine}`, { skip }, async () => {
      using folder = temporaryFolder();
      const server: PostgresServer | undefined = engine === "postgres" ? await startPostgres() : undefined;
      const env = server ? { MCPP_STORE: server.url() } : {};
      const node = await startNode(folder.path, several(3, "--workers", "6"), "serve", { env });
      const before = childrenOf(node.pid);
      const stop = new AbortController();
      const fresh = (): Promise<OurClient> => connect(node.mcp, { retries: 0 });
      try {
        const clients = await Promise.all(Array.from({ length: 6 }, fresh));
        const loads = clients.map((client) => load(client, stop.signal, fresh));
        for (let i = 0; i < 3; i++) loads.push(session(node, (client) => oldLoad(client, stop.signal)));
        const failed = Promise.race(loads.map((one) => one.then(() => new Promise<never>(() => undefined))));
        node.process.kill("SIGHUP");
        const replaced = until(
          () => childrenOf(node.pid).length === 3 && before.every((pid) => !isAlive(pid)),
          "not replaced",
        );
        await Promise.race([replaced, failed]);
        stop.abort();
        const ids = (await Promise.all(loads)).flat();
        assert.ok(ids.length > 50, `only ${ids.length} tasks`);
        await Promise.all(clients.map((client) => client.close()));
      } finally {
        stop.abort();
        assert.equal(await node.stop(), 0, node.stderr());
        await server?.remove();
      }
    });
  }
});

/** A session of the initialize era, whose requests come on many connections. */
async function session<T>(node: NodeProcess, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ name: "old", version: "1" });
  await client.connect(new StreamableHTTPClientTransport(new URL(node.mcp)));
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}
