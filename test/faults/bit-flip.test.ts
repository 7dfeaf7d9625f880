/**
 * One bit flips somewhere in a database, and every acknowledged task is either intact or named.
 *
 * MCPP_FLIPS sets how many bits flip, one at a time, in each of the files; MCPP_SEED which.
 */
import assert from "node:assert/strict";
import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { hasCode, McpError } from "../../src/errors.ts";
import { checkSqliteStore, openSqliteStores, type Stores } from "../../src/store/index.ts";
import type { Task } from "../../src/task/task.ts";
import { claimOf, draft, leaseOf } from "../store/conformance/fixtures.ts";
import { tempFolder } from "../store/temp-folder.ts";
import { seeded } from "../support/random.ts";

const FLIPS = Number(process.env["MCPP_FLIPS"] ?? 40);
const SEED = Number(process.env["MCPP_SEED"] ?? 20_260_101);
const TASKS = 60;
const error = { code: "E_X", message: "no", failureClass: "internal" };

const folder = tempFolder();
/** A database after a clean end, and one after a crash: all of it is in the log. */
const closed = join(folder.path, "closed.db");
const crashed = join(folder.path, "crashed.db");
let expected: ReadonlyMap<string, Task>;

/** Puts tasks into every state. */
async function fill({ tasks, outbox, cache }: Stores): Promise<void> {
  const text = "payload ".repeat(40);
  for (let i = 0; i < TASKS; i++) {
    const notBeforeMs = i % 7 === 0 ? 1e12 : undefined;
    await tasks.insert(
      [draft(`task-${i}`, { payload: { i, text }, idempotencyKey: `key-${i}`, notBeforeMs })],
      0,
    );
  }
  const claims = await tasks.claim(claimOf({ limit: 25, leaseUntilMs: 1e12 }), 1);
  for (const [i, claim] of claims.entries()) {
    const lease = leaseOf(claim);
    if (i % 5 === 0) await tasks.settle(lease, { kind: "completed", result: { i, text } }, 2);
    if (i % 5 === 1) await tasks.settle(lease, { kind: "failed", error, deadLetter: i > 10 }, 2);
    if (i % 5 === 2) await tasks.settle(lease, { kind: "retried", error, notBeforeMs: 1e12 }, 2);
    if (i % 5 === 3)
      await tasks.note(lease, { progress: { i }, logs: [{ atMs: 1, stream: "out", message: text }] }, 2);
  }
  await tasks.cancel("task-50", "enough", 3);
  for (let i = 0; i < 5; i++) {
    const outcome = { kind: "completed", result: { i, text } } as const;
    await outbox.put({ queue: "q", lease: { taskId: `far-${i}`, token: 1 }, outcome, createdAtMs: 0 });
    await cache.set(`k${i}`, { i, text }, undefined, 0);
  }
}

async function everything({ tasks }: Stores): Promise<Map<string, Task>> {
  const found = new Map<string, Task>();
  for (let i = 0; i < TASKS; i++) {
    const task = await tasks.get(`task-${i}`);
    if (task) found.set(task.id, task);
  }
  return found;
}

before(async () => {
  const stores = await openSqliteStores({ path: closed });
  await fill(stores);
  expected = await everything(stores);
  copyFileSync(closed, crashed);
  copyFileSync(`${closed}-wal`, `${crashed}-wal`);
  await stores.close();
});
after(() => folder[Symbol.dispose]());

/** A task without what tells its story but decides nothing: a letter of that may change. */
function coreOf(task: Task | undefined): object | undefined {
  if (!task) return undefined;
  const { logs: _logs, history: _history, updatedAtMs: _updated, workerId: _worker, ...core } = task;
  return core;
}

/** How a flipped bit was met. */
type Verdict = "refused" | "named" | "harmless";

/** What happens with a bit of `file` flipped. Fails if anything was lost without a word. */
async function flip(database: string, suffix: "" | "-wal", bit: number, path: string): Promise<Verdict> {
  for (const end of ["", "-wal"]) {
    if (existsSync(`${database}${end}`)) copyFileSync(`${database}${end}`, `${path}${end}`);
  }
  const bytes = readFileSync(`${path}${suffix}`);
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  writeFileSync(`${path}${suffix}`, bytes);
  const named = checked(path);
  let stores: Stores;
  try {
    stores = await openSqliteStores({ path });
  } catch (thrown) {
    assert.ok(thrown instanceof McpError, String(thrown));
    assert.match(thrown.code, /^E_STORE_(CORRUPT|VERSION)$/);
    return "refused";
  }
  try {
    return (await intact(stores)) && !named ? "harmless" : "named";
  } catch (thrown) {
    if (named && !(thrown instanceof McpError)) return "named";
    if (hasCode(thrown, "E_STORE_CORRUPT")) return "named";
    throw thrown;
  } finally {
    await stores.close().catch((thrown: unknown) => assert.ok(thrown instanceof McpError, String(thrown)));
  }
}

/** Whether `store check` sees anything. */
function checked(path: string): boolean {
  try {
    return checkSqliteStore(path).findings.length > 0;
  } catch (thrown) {
    assert.ok(thrown instanceof McpError, String(thrown));
    return true;
  }
}

/** @returns whether every task is as it was, first as it is read, then as it is claimed */
async function intact(stores: Stores): Promise<boolean> {
  let whole = true;
  for (const [id, task] of expected) {
    try {
      assert.deepEqual(coreOf(await stores.tasks.get(id)), coreOf(task));
    } catch (thrown) {
      if (!(thrown instanceof McpError)) throw thrown;
      assert.equal(thrown.code, "E_STORE_CORRUPT");
      assert.ok(thrown.message.includes(id) || thrown.message.includes("database"), thrown.message);
      whole = false;
    }
  }
  const claims = await stores.tasks.claim(claimOf({ limit: TASKS, leaseUntilMs: 2e12 }), 10);
  const ready = [...expected.values()].filter(
    (task) => task.state === "queued" && task.notBeforeMs === undefined,
  );
  for (const { task } of claims) assert.deepEqual(task.payload, expected.get(task.id)?.payload);
  assert.ok(claims.length === ready.length || !whole, "a task that was ready is not given out");
  for (const queue of await stores.outbox.queues()) {
    for (const { lease } of await stores.outbox.keys(queue, 100)) {
      const outcome = (await stores.outbox.get(queue, lease))?.outcome;
      if (outcome)
        assert.equal(outcome.kind === "completed" && `far-${String(outcome.result["i"])}`, lease.taskId);
    }
  }
  return whole;
}

describe("a flipped bit", { timeout: 600_000 }, () => {
  const places = [
    ["the main file", closed, ""],
    ["the log that a crash left", crashed, "-wal"],
  ] as const;
  for (const [where, database, suffix] of places) {
    it(`in ${where} loses nothing without a word, ${FLIPS} times`, async (t) => {
      const random = seeded(SEED);
      const bits = statSync(`${database}${suffix}`).size * 8;
      const verdicts = { refused: 0, named: 0, harmless: 0 };
      for (let i = 0; i < FLIPS; i++) {
        using own = tempFolder();
        const bit = random.below(bits);
        try {
          verdicts[await flip(database, suffix, bit, join(own.path, "queue.db"))] += 1;
        } catch (thrown) {
          throw new Error(`bit ${bit & 7} of byte ${bit >> 3} of ${bits >> 3} (seed ${SEED})`, {
            cause: thrown,
          });
        }
      }
      t.diagnostic(`seed ${SEED}: ${JSON.stringify(verdicts)}`);
      assert.ok(verdicts.refused + verdicts.named > 0, "no flip did any harm: the test flips nothing");
    });
  }
});
