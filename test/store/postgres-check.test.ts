/** The check of a PostgreSQL database. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Client } from "pg";
import { checkPostgresStore, openPostgresStores } from "../../src/store/index.ts";
import { claimOne, draft, leaseOf } from "./conformance/fixtures.ts";
import { noPostgres, type PostgresServer, startPostgres } from "../support/postgres.ts";

describe("the check of a PostgreSQL database", { skip: noPostgres, timeout: 120_000 }, () => {
  let running: PostgresServer | undefined;
  before(async () => {
    running = await startPostgres();
  });
  after(() => running?.remove());
  const server = (): PostgresServer => running ?? assert.fail("no server");

  /** A queue with tasks in several states, a cache and an outbox; still open. */
  async function filled(schema: string): Promise<AsyncDisposable & { readonly url: string }> {
    const url = server().url(schema);
    const stores = await openPostgresStores({ url, owner: "me" });
    const { tasks, cache, outbox } = stores;
    await tasks.insert([draft("a"), draft("b"), draft("c", { payload: { nul: "\0\u0001" } }), draft("d")], 0);
    await tasks.settle(leaseOf(await claimOne(tasks, 1)), { kind: "completed", result: { n: 1 } }, 2);
    const second = leaseOf(await claimOne(tasks, 3));
    await tasks.note(
      second,
      { logs: [{ atMs: 4, stream: "stdout", message: "hi\0" }], progress: { p: 1 } },
      4,
    );
    for (let i = 0; i < 40; i++) {
      const lease = leaseOf(await claimOne(tasks, 5 + i));
      await tasks.settle(lease, { kind: "released", reason: "" }, 5 + i);
    }
    await tasks.cancel("d", "no more", 50);
    await cache.set("k", { v: 1 }, undefined, 5);
    await cache.set("gone", 1, undefined, 5);
    await cache.delete("gone", 6);
    const outcome = { kind: "completed", result: {} } as const;
    await outbox.put({ queue: "q", lease: { taskId: "far", token: 1 }, outcome, createdAtMs: 1 });
    return { url, [Symbol.asyncDispose]: () => stores.close() };
  }

  async function sql(schema: string, text: string): Promise<void> {
    const client = new Client({ connectionString: server().url(), options: `-c search_path=${schema}` });
    await client.connect();
    await client.query(text);
    await client.end();
  }

  it("finds nothing in a sound one, beside a node that has it open", async () => {
    await using store = await filled("sound");
    const { tasks, outbox, cache, findings, bytes } = await checkPostgresStore(store.url);
    assert.deepEqual([tasks, outbox, cache, findings], [4, 1, 2, []]);
    assert.ok(bytes > 0);
  });

  it("names each damage", async () => {
    await using store = await filled("damaged");
    await sql(
      "damaged",
      `
      UPDATE payloads SET payload = replace(payload, '{', '{ ') WHERE seq = (SELECT seq FROM tasks WHERE id = 'b');
      UPDATE outcomes SET result = '{"n":2}' WHERE seq = (SELECT seq FROM tasks WHERE id = 'a');
      UPDATE tasks SET token = token + 1 WHERE id = 'd';
      INSERT INTO logs VALUES (999, 1, 0, 'stdout', 'lost');
      INSERT INTO task_counts VALUES (0, 5);
      UPDATE outbox SET outcome = outcome || ' ';
      UPDATE cache_entries SET value = '{' WHERE key = 'k';
      UPDATE cache_node SET entries = entries + 1`,
    );
    const { findings } = await checkPostgresStore(store.url);
    const said = findings.map(({ what }) => what).join("\n");
    for (const damage of [
      /task b: what was submitted has changed/,
      /task a: its result has changed/,
      /task d: its lease's token/,
      /1 rows of logs have no task/,
      /the count of tasks in phase 0/,
      /a result for task far/,
      /the cache's entry 'k'/,
      /the size of the cache/,
    ])
      assert.match(said, damage);
    assert.equal(findings.length, 8, said);
  });

  it("says so where there is nothing of ours, and makes nothing", async () => {
    for (let i = 0; i < 2; i++)
      await assert.rejects(checkPostgresStore(server().url("none")), {
        code: "E_STORE_FAILED",
        message: /no tables/,
      });
  });
});
