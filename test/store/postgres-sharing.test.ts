/** Several processes on one PostgreSQL database. */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import * as z from "zod";
import { systemClock } from "../../src/clock.ts";
import { openNursery } from "../../src/nursery/index.ts";
import { openPostgresStores } from "../../src/store/index.ts";
import { openLocalQueue } from "../../src/task/local.ts";
import { claimOf, draft, idsOf, only } from "./conformance/fixtures.ts";
import { temporaryFolder } from "../support/node-process.ts";
import { noPostgres, type PostgresServer, startPostgres } from "../support/postgres.ts";

const PROCESS = join(import.meta.dirname, "../support/queue-process.ts");
const answerSchema = z.object({ value: z.unknown().optional(), error: z.string().optional() });
const idsSchema = z.array(z.string());

async function ask(child: ChildProcess, order: object): Promise<unknown> {
  const answer = once(child, "message");
  child.send(order);
  const { value, error } = answerSchema.parse((await answer)[0]);
  assert.equal(error, undefined);
  return value;
}

describe(
  "a PostgreSQL database that several processes have open",
  { skip: noPostgres, timeout: 180_000 },
  () => {
    let server: PostgresServer | undefined;
    const children: ChildProcess[] = [];
    before(async () => {
      server = await startPostgres();
    });
    after(() => server?.remove());
    afterEach(async () => {
      for (const child of children.splice(0)) {
        if (child.exitCode === null && child.signalCode === null) {
          const exit = once(child, "exit");
          child.kill("SIGKILL");
          await exit;
        }
      }
    });

    const start = async (schema: string): Promise<ChildProcess> => {
      const child = fork(PROCESS, [server?.url(schema) ?? ""]);
      children.push(child);
      const failed = once(child, "exit").then(([code]) =>
        assert.fail(`the process ended with code ${String(code)}`),
      );
      failed.catch(() => undefined);
      await Promise.race([once(child, "message"), failed]);
      return child;
    };

    it("tells a wait in one process of the completion in another, without polling", async () => {
      const [one, other] = await Promise.all([start("wait"), start("wait")]);
      assert.ok(one && other);
      const [taskId] = idsSchema.parse(await ask(one, { do: "submit", count: 1 }));
      const waiting = ask(one, { do: "wait", taskId });
      assert.deepEqual(await ask(other, { do: "work", workerId: "w", count: 1 }), [taskId]);
      const completedAt = performance.now();
      assert.equal(await waiting, true);
      assert.ok(performance.now() - completedAt < 5000, "only the half-minute look can have told it");
    });

    it("tells whoever holds a lease in one process that another has cancelled its task", async () => {
      const url = server?.url("cancel") ?? "";
      await using here = await openPostgresStores({ url });
      await using there = await openPostgresStores({ url });
      await openNursery(async (nursery) => {
        const [mine, theirs] = [here, there].map(
          ({ tasks }) => openLocalQueue({ store: tasks, nursery, clock: systemClock }).queue,
        );
        assert.ok(mine && theirs);
        const [receipt] = await theirs.submit([{ type: "t", payload: {} }]);
        const [claimed] = await mine.claim({ workerId: "w", leaseMs: 600_000 });
        assert.ok(claimed && receipt);
        const lost = mine.lost(claimed.lease, 20_000);
        await pause(200);
        await theirs.cancel(receipt.taskId, "nobody needs it");
        const cancelledAt = performance.now();
        assert.equal(await lost, true);
        assert.ok(performance.now() - cancelledAt < 2000, "only the half-minute look can have told it");
        nursery.cancel("the test is done");
      });
    });

    it("tells at once of a lease, so that others see its end if its process ends now", async () => {
      const url = server?.url("lease") ?? "";
      await using other = await openPostgresStores({ url });
      const one = await openPostgresStores({ url });
      await one.tasks.insert([draft("a")], Date.now());
      // What the submission told has arrived by then.
      await new Promise((resolve) => {
        setTimeout(resolve, 700);
      });
      const heard = new Promise<void>((resolve) => {
        other.tasks.onForeignChange(resolve);
      });
      await one.tasks.claim(claimOf({ leaseUntilMs: Date.now() + 60_000 }), Date.now());
      await one.close();
      await heard;
    });

    it("gives a task that one process submits to a claim that waits in another", async () => {
      const [one, other] = await Promise.all([start("claim"), start("claim")]);
      const working = ask(other, { do: "work", workerId: "w", count: 3 });
      const ids = idsSchema.parse(await ask(one, { do: "submit", count: 3 }));
      assert.deepEqual(idsSchema.parse(await working).toSorted(), ids.toSorted());
    });

    it("lets four processes submit, claim and complete at once, each task once, while the schema is new to all", async () => {
      const all = await Promise.all([start("four"), start("four"), start("four"), start("four")]);
      const results = await Promise.all(
        all.map(async (child, i) =>
          idsSchema.parse(await ask(child, { do: "cycles", workerId: `w${i}`, count: 100 })),
        ),
      );
      assert.equal(new Set(results.flat()).size, 400);
      assert.deepEqual(
        results.map((ids) => ids.length),
        [100, 100, 100, 100],
      );
      await using stores = await openPostgresStores({ url: server?.url("four") ?? "" });
      assert.equal((await stores.tasks.stats(0)).byState.completed, 400);
    });

    it("survives the kill of a process in the middle of its writes", async () => {
      const [one, other] = await Promise.all([start("kill"), start("kill")]);
      one.send({ do: "submit", count: 100_000 });
      await ask(other, { do: "cycles", workerId: "w", count: 5 });
      one.kill("SIGKILL");
      await once(one, "exit");
      assert.equal(idsSchema.parse(await ask(other, { do: "cycles", workerId: "w", count: 5 })).length, 5);
    });

    it("gives every one of many claims a task while there are enough, however many others take at the same time", async () => {
      const url = server?.url("race") ?? "";
      await using a = await openPostgresStores({ url });
      await using b = await openPostgresStores({ url });
      for (let round = 0; round < 5; round++) {
        const drafts = Array.from({ length: 200 }, (_, i) => draft(`${round}-${i}`));
        await a.tasks.insert(drafts, 0);
        await Promise.all([a.tasks.settleDue(0), b.tasks.settleDue(0)]);
        const claims = await Promise.all(
          drafts.map((_, i) =>
            (i % 2 === 0 ? a : b).tasks.claim(claimOf({ ...only("echo"), leaseUntilMs: 1e9 }), 0),
          ),
        );
        assert.deepEqual(new Set(claims.flatMap(idsOf)), new Set(drafts.map(({ id }) => id)));
      }
    });

    it("keeps the outbox of each node apart, and the cache in common", async () => {
      const url = server?.url("apart") ?? "";
      await using a = await openPostgresStores({ url, owner: "a" });
      await using b = await openPostgresStores({ url, owner: "b" });
      const lease = { taskId: "t", token: 1 };
      await a.outbox.put({ queue: "q", lease, outcome: { kind: "completed", result: {} }, createdAtMs: 0 });
      assert.deepEqual(await b.outbox.queues(), []);
      assert.deepEqual(await a.outbox.queues(), ["q"]);
      await a.cache.set("k", 1, undefined, 0);
      assert.equal((await b.cache.get("k", 0))?.value, 1);
      assert.equal(a.cache.origin, b.cache.origin);
    });
  },
);

describe("a node on SQLite", () => {
  it("does not load the driver of PostgreSQL", async () => {
    using folder = temporaryFolder();
    const index = JSON.stringify(join(import.meta.dirname, "../../src/store/index.ts"));
    const code = `
      import { Module } from "node:module";
      const { openSqliteStores } = await import(${index});
      await (await openSqliteStores({ path: ${JSON.stringify(join(folder.path, "q.db"))} })).close();
      console.log(Object.keys(Module._cache).filter((file) => /node_modules.pg/.test(file)).length);`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", code]);
    assert.equal(stdout.trim(), "0");
  });
});
