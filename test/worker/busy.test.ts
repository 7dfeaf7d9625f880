/** Handlers that hold up the event loop for longer than their lease: what becomes of their tasks. In real time. */
import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../../src/clock.ts";
import { type Logger, silentLogger } from "../../src/logger.ts";
import { type Nursery, openNursery } from "../../src/nursery/index.ts";
import { openMemoryStores, openSqliteStores, type Stores } from "../../src/store/index.ts";
import { openLocalQueue } from "../../src/task/local.ts";
import { MIN_LEASE_MS, type TaskQueue } from "../../src/task/queue.ts";
import { type Handler, startWorker, type Worker } from "../../src/worker/index.ts";
import { temporaryFolder } from "../support/node-process.ts";

const PROCESS = join(import.meta.dirname, "../support/queue-process.ts");
const LEASE_MS = MIN_LEASE_MS;

/** Begins, computes without a pause for three leases, and goes on a little. */
const HOG: Handler = {
  type: "t",
  aliases: [],
  async run(_task, { log }) {
    await pause(200);
    const untilMs = performance.now() + 3 * LEASE_MS + 200;
    while (performance.now() < untilMs);
    log("stdout", "computed");
    await pause(700);
    return { by: "hog" };
  },
};

/** A logger that keeps its warnings. */
function listening(): { readonly logger: Logger; readonly warnings: string[] } {
  const warnings: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    warn: (_facts, words) => void warnings.push(words),
    child: () => logger,
  };
  return { logger, warnings };
}

function start(stores: Stores, queue: TaskQueue, nursery: Nursery, logger: Logger): Worker {
  return startWorker({
    nursery,
    clock: systemClock,
    logger,
    workerId: "hog",
    sources: [{ name: "queue", queue }],
    handlers: [HOG],
    skills: () => [],
    concurrency: 4,
    leaseMs: LEASE_MS,
    outbox: stores.outbox,
    outboxQueue: () => queue,
  });
}

let child: ChildProcess | undefined;
afterEach(async () => {
  if (child === undefined) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
});

describe("a handler that holds up the event loop for three leases", { timeout: 60_000 }, () => {
  it("keeps its task if nobody else took it: one attempt, one result, and a warning", async () => {
    await using stores = openMemoryStores();
    await openNursery(async (nursery) => {
      const { queue } = openLocalQueue({ store: stores.tasks, nursery, clock: systemClock });
      const { logger, warnings } = listening();
      const worker = start(stores, queue, nursery, logger);
      const [receipt] = await queue.submit([{ type: "t", payload: {} }]);
      const { task, finished } = await queue.wait(receipt?.taskId ?? "", 30_000);
      assert.deepEqual([finished, task.state, task.attempt], [true, "completed", 1]);
      assert.deepEqual([task.result, task.logs.map(({ message }) => message)], [{ by: "hog" }, ["computed"]]);
      assert.equal(worker.stats().claimed, 1);
      assert.ok(
        warnings.some((words) => words.startsWith("the event loop was held up")),
        warnings.join("\n"),
      );
      nursery.cancel("the test is done");
    });
  });

  it("loses it to another process that took it meanwhile, and says so; one result is accepted", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "queue.db");
    child = fork(PROCESS, [path]);
    await once(child, "message");
    await using stores = await openSqliteStores({ path });
    await openNursery(async (nursery) => {
      const { queue } = openLocalQueue({ store: stores.tasks, nursery, clock: systemClock });
      const { logger, warnings } = listening();
      const worker = start(stores, queue, nursery, logger);
      const [receipt] = await queue.submit([{ type: "t", payload: {} }]);
      while (worker.running === 0) await pause(1);
      child?.send({ do: "work", workerId: "other", count: 1 });
      const { task } = await queue.wait(receipt?.taskId ?? "", 30_000);
      while (worker.running > 0) await pause(10);
      assert.deepEqual([task.result, task.attempt], [{ by: "other" }, 2]);
      assert.equal(task.history.filter(({ kind }) => kind === "completed").length, 1);
      assert.deepEqual([worker.stats().lost, worker.stats().completed], [1, 0]);
      assert.ok(
        warnings.some((words) => words.startsWith("a task is not ours any more, since")),
        warnings.join("\n"),
      );
      nursery.cancel("the test is done");
    });
  });
});
