/** What happens to a queue when its PostgreSQL server, or the way to it, fails. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { Client } from "pg";
import { openPostgresStores, type Stores } from "../../src/store/index.ts";
import { claimOf, draft, leaseOf } from "../store/conformance/fixtures.ts";
import { type Cut, openCuttingProxy } from "../support/cutting-proxy.ts";
import { noPostgres, type PostgresServer, startPostgres } from "../support/postgres.ts";

/** Submits, claims and completes `count` tasks with 8 workers, and calls `onHalf` when half of them are done. */
async function workload(
  stores: readonly Stores[],
  count: number,
  onHalf: () => Promise<void>,
): Promise<string[]> {
  const done: string[] = [];
  const until = Date.now() + 3_600_000;
  let halfway: Promise<void> | undefined;
  const submit = async (worker: number): Promise<void> => {
    const { tasks } = stores[worker % stores.length] ?? assert.fail();
    for (let i = 0; i < count / 8; i++) await tasks.insert([draft(`${worker}-${i}`)], Date.now());
  };
  const work = async (worker: number): Promise<void> => {
    const { tasks } = stores[worker % stores.length] ?? assert.fail();
    while (done.length < count) {
      const claims = await tasks.claim(claimOf({ workerId: `w${worker}`, leaseUntilMs: until }), Date.now());
      for (const claim of claims) {
        await tasks.settle(leaseOf(claim), { kind: "completed", result: { worker } }, Date.now());
        done.push(claim.task.id);
        if (done.length === count / 2) halfway = onHalf();
      }
    }
  };
  const numbers = Array.from({ length: 8 }, (_, i) => i);
  await Promise.all([...numbers.map(submit), ...numbers.map(work)]);
  await halfway;
  return done;
}

describe("a queue in PostgreSQL", { skip: noPostgres, timeout: 180_000 }, () => {
  let running: PostgresServer | undefined;
  before(async () => {
    running = await startPostgres();
  });
  after(() => running?.remove());
  const server = (): PostgresServer => running ?? assert.fail("no server");

  for (const mode of ["fast", "crash"] as const) {
    it(`loses nothing and does nothing twice when the server is restarted (${mode}) in the middle`, async () => {
      const url = server().url(`restart_${mode}`);
      await using a = await openPostgresStores({ url });
      await using b = await openPostgresStores({ url });
      const restart = async (): Promise<void> => {
        await server().stop(mode);
        await server().start();
      };
      const done = await workload([a, b], 800, restart);
      assert.equal(done.length, 800);
      assert.equal(new Set(done).size, 800);
      const { byState } = await a.tasks.stats(Date.now());
      assert.deepEqual([byState.completed, byState.queued, byState.running], [800, 0, 0]);
      const { tasks } = await a.tasks.list({ limit: 500 });
      assert.ok(
        tasks.every(({ attempt }) => attempt === 1),
        "no claim may have been lost on the way",
      );
    });
  }

  for (const what of ["question", "answer"] as const satisfies readonly Cut[]) {
    it(`does everything exactly once when the connection breaks with an unheard ${what}`, async () => {
      await using proxy = await openCuttingProxy(server().port);
      const url = `${server().tcpUrl(`cut_${what}`, server().password, proxy.port)}&pool_size=1`;
      await using stores = await openPostgresStores({ url });
      const { tasks, cache, outbox } = stores;
      const lease = { leaseUntilMs: 1e6 };
      let cuts = 0;
      for (let n = 0; n < 3; n++) {
        const cut = async <T>(act: () => Promise<T>): Promise<T> => {
          proxy.cut(n, what);
          const value = await act();
          if (proxy.done) cuts += 1;
          return value;
        };
        const [plain, keyed, again] = [`p${n}`, `k${n}`, `r${n}`];
        assert.deepEqual(await cut(() => tasks.insert([draft(plain)], 1)), [
          { taskId: plain, created: true },
        ]);
        const withKey = draft(keyed, { idempotencyKey: keyed });
        assert.deepEqual(await cut(() => tasks.insert([withKey], 1)), [{ taskId: keyed, created: true }]);
        const [first] = await cut(() => tasks.claim(claimOf(lease), 2));
        assert.ok(first);
        assert.deepEqual([first.task.id, first.token, first.task.attempt], [plain, 1, 1]);
        assert.deepEqual(first.task, await tasks.get(plain));
        await cut(() => tasks.renew(leaseOf(first), 1e6 + n, 3));
        await cut(() =>
          tasks.note(leaseOf(first), { logs: [{ atMs: 3, stream: "stdout", message: "x" }] }, 3),
        );
        await cut(() => tasks.settle(leaseOf(first), { kind: "completed", result: {} }, 4));
        const [second] = await cut(() => tasks.claim(claimOf(lease), 5));
        assert.ok(second);
        await cut(() => tasks.settle(leaseOf(second), { kind: "released", reason: "later" }, 6));
        await cut(() => tasks.cancel(keyed, "enough", 7));
        await tasks.insert([draft(again, { notBeforeMs: 20 })], 8);
        await cut(() => tasks.settleDue(20 + n));
        await cut(() => tasks.cancel(again, "enough", 30));
        const version = await cut(() => cache.set("k", n, undefined, 9));
        assert.equal((await cache.get("k", 9))?.version, version);
        await cut(() => outbox.remove("q", { taskId: "t", token: 1 }));
        const whole = await tasks.get(plain);
        assert.deepEqual([whole?.logs.length, whole?.history.length, whole?.state], [1, 3, "completed"]);
        assert.deepEqual(
          (await tasks.get(keyed))?.history.map(({ kind }) => kind),
          ["submitted", "claimed", "released", "cancelled"],
        );
      }
      assert.ok(cuts >= 20, `only ${cuts} connections broke`);
      const { byState } = await tasks.stats(40);
      assert.deepEqual(byState, { queued: 0, running: 0, completed: 3, failed: 0, cancelled: 6 });
    });
  }

  it("says that the server was too slow, keeps nothing of that, and goes on afterwards", async () => {
    const url = server().url("slow");
    await using stores = await openPostgresStores({ url: `${url}&statement_timeout=200` });
    const { tasks } = stores;
    await tasks.insert([draft("before")], 0);
    const other = new Client({
      connectionString: `postgres://mcpp:${encodeURIComponent(server().password)}@127.0.0.1:${server().port}/postgres`,
    });
    await other.connect();
    await other.query("BEGIN; LOCK TABLE slow.tasks IN ACCESS EXCLUSIVE MODE");
    const slow = { code: "E_STORE_TIMEOUT", failureClass: "timeout" };
    await Promise.all([
      assert.rejects(tasks.insert([draft("during")], 0), slow),
      assert.rejects(tasks.claim(claimOf(), 0), slow),
      assert.rejects(tasks.get("before"), slow),
      assert.rejects(tasks.cancel("before", "", 0), slow),
    ]);
    await other.query("ROLLBACK");
    await other.end();
    assert.equal(await tasks.get("during"), undefined);
    assert.equal((await tasks.get("before"))?.state, "queued");
    await tasks.insert([draft("during")], 0);
    assert.equal((await tasks.claim(claimOf({ limit: 5 }), 0)).length, 2);
  });

  it("keeps text with characters that PostgreSQL has no place for", async () => {
    await using stores = await openPostgresStores({ url: server().url("text") });
    const { tasks, cache } = stores;
    const odd = "a\0b\u0001c\u0001\u0001\u0002é\u{1F600}";
    await tasks.insert(
      [draft("a", { payload: { odd }, modelName: odd, type: odd, lane: odd, idempotencyKey: odd })],
      0,
    );
    const [claim] = await tasks.claim(claimOf({ workerId: odd, holder: odd }), 0);
    assert.ok(claim);
    assert.deepEqual((await tasks.survey([])).readyLanes, []);
    const lease = { taskId: "a", token: 1, holder: odd };
    await tasks.note(lease, { progress: { odd }, logs: [{ atMs: 1, stream: "stdout", message: odd }] }, 1);
    await tasks.settle(lease, { kind: "released", reason: odd }, 2);
    assert.deepEqual((await tasks.survey([])).readyLanes, [odd]);
    const task = await tasks.get("a");
    assert.deepEqual(
      [task?.payload, task?.modelName, task?.type, task?.idempotencyKey, task?.progress],
      [{ odd }, odd, odd, odd, { odd }],
    );
    assert.deepEqual(
      [task?.logs[0]?.message, task?.history[1]?.workerId, task?.history[2]?.detail],
      [odd, odd, odd],
    );
    await cache.set(odd, odd, undefined, 0);
    assert.equal((await cache.get(odd, 0))?.value, odd);
    assert.equal((await cache.changes(0, 5)).marks[0]?.key, odd);
  });
});

describe("opening a queue in PostgreSQL", { skip: noPostgres, timeout: 120_000 }, () => {
  let running: PostgresServer | undefined;
  before(async () => {
    running = await startPostgres();
  });
  after(() => running?.remove());
  const server = (): PostgresServer => running ?? assert.fail("no server");

  /** Opens in vain. @returns the error, which must not have the password */
  async function failure(url: string): Promise<Error & { readonly code?: unknown }> {
    try {
      await (await openPostgresStores({ url })).close();
    } catch (error) {
      assert.ok(error instanceof Error);
      const hint = "hint" in error ? String(error.hint) : "";
      for (const secret of ["wr0ng", server().password, encodeURIComponent(server().password)]) {
        assert.ok(!`${error.message} ${hint} ${String(error.cause)}`.includes(secret), "a password is shown");
      }
      return error;
    }
    return assert.fail("it opened");
  }

  it("works with a password over TCP", async () => {
    await using stores = await openPostgresStores({ url: server().tcpUrl() });
    assert.equal((await stores.tasks.stats(0)).ready, 0);
  });

  it("says that nobody answers", async () => {
    const free = createServer().listen(0, "127.0.0.1");
    await once(free, "listening");
    const address = free.address();
    assert.ok(address !== null && typeof address === "object");
    free.close();
    await once(free, "close");
    const error = await failure(server().tcpUrl("x", "wr0ng", address.port));
    assert.equal(error.code, "E_STORE_UNAVAILABLE");
    assert.match(error.message, new RegExp(`127.0.0.1:${address.port}`));
  });

  it("says that the password is wrong", async () => {
    assert.equal((await failure(server().tcpUrl("x", "wr0ng"))).code, "E_STORE_ACCESS");
  });

  it("says that there is no such database", async () => {
    const error = await failure(server().url().replace("/postgres?", "/nothing?"));
    assert.equal(error.code, "E_STORE_ACCESS");
    assert.match(error.message, /nothing/);
  });

  it("says that the server has no TLS where it was asked for", async () => {
    const error = await failure(`${server().tcpUrl()}&sslmode=require`);
    assert.equal(error.code, "E_STORE_ACCESS");
    assert.match(error.message, /SSL/);
  });

  it("refuses a schema of a later version, and leaves it as it is", async () => {
    const url = server().url("later");
    await (await openPostgresStores({ url })).close();
    const client = new Client({ connectionString: server().tcpUrl().replace(/\?.*/, "") });
    await client.connect();
    await client.query("UPDATE later.schema_version SET version = 99");
    assert.equal((await failure(url)).code, "E_STORE_VERSION");
    const { rows } = await client.query("SELECT version FROM later.schema_version");
    assert.deepEqual(rows, [{ version: 99 }]);
    await client.end();
  });

  it("refuses parameters that are not known or out of range, without showing what was written", async () => {
    for (const parameters of ["&wr0ng%20x=1", "&schema=wr0ng;drop", "&pool_size=wr0ng", "&sslmode=wr0ng"]) {
      const url = `postgres://u:wr0ng@127.0.0.1/db?x${parameters}`.replace("?x&", "?");
      assert.equal((await openingError(url)).code, "E_INVALID_INPUT", parameters);
    }
  });
});

/** Opens in vain. */
async function openingError(url: string): Promise<Error & { readonly code?: unknown }> {
  try {
    await (await openPostgresStores({ url })).close();
  } catch (error) {
    assert.ok(error instanceof Error);
    return error;
  }
  return assert.fail("it opened");
}
