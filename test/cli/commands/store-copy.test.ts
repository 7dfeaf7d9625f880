import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openPostgresStores, openSqliteStores, type Stores } from "../../../src/store/index.ts";
import { claimOf, draft, leaseOf } from "../../store/conformance/fixtures.ts";
import { spawnMcpp, temporaryFolder } from "../../support/node-process.ts";
import { noPostgres, type PostgresServer, startPostgres } from "../../support/postgres.ts";

/** Everything that a queue and a cache show. */
async function contents({ tasks, cache, workflows }: Stores): Promise<unknown> {
  const { tasks: listed } = await tasks.list({ limit: 500 });
  const { marks } = await cache.changes(0, 100);
  return {
    tasks: await Promise.all(listed.map(({ id }) => tasks.get(id))),
    leases: await Promise.all(listed.map(({ id }) => tasks.leaseOf(id))),
    stats: await tasks.stats(100),
    marks,
    runs: (await workflows.list({ limit: 9 })).runs,
    log: await workflows.events("run", 0, 9),
    records: await cache.records(
      marks.map(({ key }) => key),
      100,
    ),
    fill: await cache.stats(100),
  };
}

async function fill({ tasks, cache }: Stores): Promise<void> {
  const many = Array.from({ length: 250 }, (_, i) =>
    draft(`t${i}`, { priority: 1 + (i % 10), idempotencyKey: `k${i}` }),
  );
  await tasks.insert(
    [...many, draft("odd", { type: "a\0b", lane: "a\0b" }), draft("later", { notBeforeMs: 1e9 })],
    0,
  );
  const claims = await tasks.claim(claimOf({ limit: 30, leaseUntilMs: 1e9 }), 1);
  const [a, b, c] = claims.map((claim) => leaseOf(claim));
  assert.ok(a && b && c);
  await tasks.note(a, { progress: { p: 1 }, logs: [{ atMs: 1, stream: "stdout", message: "x\0y" }] }, 2);
  await tasks.settle(b, { kind: "completed", result: { ok: true } }, 3);
  await tasks.settle(
    c,
    { kind: "failed", error: { code: "E_X", message: "m", failureClass: "internal" }, deadLetter: true },
    3,
  );
  for (const key of ["x", "y", "z"]) await cache.set(key, { key }, undefined, 0);
  await cache.delete("y", 1);
}

describe("mcpp store copy", { skip: noPostgres, timeout: 120_000 }, () => {
  let server: PostgresServer | undefined;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server?.remove());

  async function copy(folder: string, data: string): Promise<{ code: number; text: string }> {
    const child = spawnMcpp(["store", "copy", "--data-dir", data, "--json"], folder, {
      MCPP_STORE: server?.tcpUrl(),
    });
    const said: string[] = [];
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (chunk: Buffer) => said.push(chunk.toString()));
    const code = await new Promise<number>((resolve) => {
      child.on("close", (status) => resolve(status ?? -1));
    });
    return { code, text: said.join("") };
  }

  it("brings everything over, once, and leaves the file as it is", async () => {
    using folder = temporaryFolder();
    const data = join(folder.path, "node");
    mkdirSync(data);
    let original: unknown;
    {
      await using stores = await openSqliteStores({ path: join(data, "queue.db") });
      await fill(stores);
      const lease = { taskId: "t", token: 1 };
      await stores.outbox.put({
        queue: "q",
        lease,
        outcome: { kind: "completed", result: {} },
        createdAtMs: 0,
      });
      const workflow = { name: "w", steps: [{ id: "a", task: "t" }] };
      const started = { kind: "started", workflow, inputs: {}, by: "me", seq: 1, atMs: 5 } as const;
      await stores.workflows.create({ id: "run", workflow: "w", digest: "d" }, started, 5);
      original = await contents(stores);
    }
    const { code, text } = await copy(folder.path, data);
    assert.equal(code, 0, text);
    const { ok, tasks, outbox, cache } = JSON.parse(text);
    assert.deepEqual([ok, tasks, outbox, cache], [true, 252, 1, 3]);
    assert.ok(!text.includes(server?.password ?? "?"));
    await using there = await openPostgresStores({ url: server?.url() ?? "" });
    assert.deepEqual(await contents(there), original);
    await there.tasks.insert([draft("new")], 200);
    assert.equal((await there.tasks.list({ limit: 500 })).tasks.at(-1)?.id, "new");
    await using here = await openSqliteStores({ path: join(data, "queue.db") });
    assert.deepEqual(await contents(here), original);

    const again = await copy(folder.path, data);
    assert.equal(again.code, 1);
    assert.match(again.text, /not empty/);
  });
});
