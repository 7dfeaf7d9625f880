/** How soon a cancellation reaches the worker that has the task, by the clock on the wall, over what is really between. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import * as z from "zod";
import { systemClock } from "../../src/clock.ts";
import { silentLogger } from "../../src/logger.ts";
import { type Nursery, openNursery } from "../../src/nursery/index.ts";
import { createAuthority } from "../../src/authority/authority.ts";
import { openMemoryStores, openSqliteStores } from "../../src/store/index.ts";
import { openLocalQueue } from "../../src/task/local.ts";
import { serveTaskMethods } from "../../src/task/methods.ts";
import type { TaskQueue } from "../../src/task/queue.ts";
import { remoteQueue } from "../../src/task/remote.ts";
import { startWorker } from "../../src/worker/index.ts";
import { withHosts } from "../p2p/hosts.ts";
import { temporaryFolder } from "../support/node-process.ts";
import { controlled } from "../support/work.ts";

const PROCESS = join(import.meta.dirname, "../support/queue-process.ts");
const answerSchema = z.object({ value: z.unknown().optional() });

/** What is promised. */
const LIMIT_MS = 2000;
/** Its renewals would tell after ten minutes. */
const LEASE_MS = 1_800_000;

async function until(is: () => boolean): Promise<void> {
  for (let tries = 0; tries < 2000 && !is(); tries++) await pause(5);
  assert.ok(is(), "it did not come to this");
}

/** Whoever submits a task of the type `t` and cancels it. */
interface Owner {
  submit(): Promise<string>;
  cancel(taskId: string): Promise<unknown>;
}

function ownerOf(queue: TaskQueue): Owner {
  return {
    submit: async () => (await queue.submit([{ type: "t", payload: {} }]))[0]?.taskId ?? assert.fail(),
    cancel: (taskId) => queue.cancel(taskId, "nobody needs it"),
  };
}

/** Runs a task of `owner`'s queue with a worker that sees it as `seen`, and cancels it. @returns after how long it stopped */
async function cancelled(owner: Owner, seen: TaskQueue, nursery: Nursery): Promise<number> {
  const { handler, started, stops } = controlled();
  const worker = startWorker({
    nursery,
    clock: systemClock,
    logger: silentLogger,
    workerId: "w",
    sources: [{ name: "queue", queue: seen }],
    handlers: [handler],
    skills: () => [],
    concurrency: 2,
    leaseMs: LEASE_MS,
    outbox: openMemoryStores().outbox,
    outboxQueue: () => seen,
  });
  const taskId = await owner.submit();
  await until(() => started.length === 1);
  await pause(1000);
  const cancelledAtMs = performance.now();
  await owner.cancel(taskId);
  await until(() => stops.length === 1);
  const tookMs = performance.now() - cancelledAtMs;
  await until(() => worker.running === 0);
  assert.equal((await seen.get(taskId))?.state, "cancelled");
  await worker.drain(0);
  return tookMs;
}

describe("a cancelled task stops within two seconds", { timeout: 60_000 }, () => {
  it("on a worker at the other end of libp2p", () =>
    withHosts(async (open, nursery) => {
      const local = openLocalQueue({ store: openMemoryStores().tasks, nursery, clock: systemClock });
      const worker = await open();
      const owner = await open({
        methods: serveTaskMethods(local),
        authority: createAuthority({ allowPeers: [worker.peerId] }),
      });
      const [multiaddr] = owner.multiaddrs();
      const tookMs = await cancelled(ownerOf(local.queue), remoteQueue(worker.rpc, { multiaddr }), nursery);
      assert.ok(tookMs < LIMIT_MS, `${tookMs} ms`);
    }));

  it("on a worker in another process on the same file", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "queue.db");
    const child = fork(PROCESS, [path]);
    const ask = async (order: object): Promise<unknown> => {
      const answer = once(child, "message");
      child.send(order);
      return answerSchema.parse((await answer)[0]).value;
    };
    const owner = {
      submit: async () =>
        z.array(z.string()).parse(await ask({ do: "submit", count: 1 }))[0] ?? assert.fail(),
      cancel: (taskId: string) => ask({ do: "cancel", taskId }),
    };
    try {
      await once(child, "message");
      await using stores = await openSqliteStores({ path });
      await openNursery(async (nursery) => {
        const { queue } = openLocalQueue({ store: stores.tasks, nursery, clock: systemClock });
        const tookMs = await cancelled(owner, queue, nursery);
        assert.ok(tookMs < LIMIT_MS, `${tookMs} ms`);
        nursery.cancel("the test is done");
      });
    } finally {
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    }
  });
});
