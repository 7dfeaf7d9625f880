/** A worker of ours on the queue of a peer that speaks only newline JSON. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "../../../src/clock.ts";
import { silentLogger } from "../../../src/logger.ts";
import type { Nursery } from "../../../src/nursery/index.ts";
import { openMemoryStores } from "../../../src/store/index.ts";
import type { TaskQueue } from "../../../src/task/queue.ts";
import { remoteQueue } from "../../../src/task/remote.ts";
import { createHandlers, startWorker, type Worker } from "../../../src/worker/index.ts";
import { until, withHosts } from "../hosts.ts";
import { lineServer, oldQueue, sessionServer } from "./servers.ts";

function work(nursery: Nursery, queue: TaskQueue): Worker {
  return startWorker({
    nursery,
    clock: systemClock,
    logger: silentLogger,
    workerId: "ours",
    sources: [{ name: "old", queue }],
    handlers: createHandlers({ callTool: async () => ({}) }),
    skills: () => [],
    concurrency: 2,
    leaseMs: 3000,
    outbox: openMemoryStores().outbox,
    outboxQueue: () => queue,
  });
}

describe("a worker on an old queue", { timeout: 60_000 }, () => {
  for (const serve of [lineServer, sessionServer]) {
    it(`claims, runs and completes its tasks (${serve.name})`, () =>
      withHosts(async (open, nursery) => {
        await using server = await serve(oldQueue());
        const queue = remoteQueue((await open()).rpc, { multiaddr: server.address });
        const submit = async (type: string, payload: object): Promise<string> => {
          const [receipt] = await queue.submit([{ type, payload: { ...payload } }]);
          assert.ok(receipt);
          return receipt.taskId;
        };
        const slow = await submit("echo", { n: 1, sleep_ms: 1500 });
        const tool = await submit("tool", { tool: "add", args: { a: 2 } });
        const broken = await submit("echo", { sleep_ms: "never" });

        const worker = work(nursery, queue);
        await until(() => worker.stats().completed === 2 && worker.stats().failed === 1);
        await worker.drain(1000);

        assert.deepEqual((await queue.get(slow))?.result, { echo: { n: 1, sleep_ms: 1500 } });
        assert.equal((await queue.get(tool))?.state, "completed");
        const failed = await queue.get(broken);
        assert.deepEqual([failed?.state, failed?.error?.code], ["failed", "E_INVALID_INPUT"]);
        assert.equal(failed?.workerId, "ours");
      }));
  }
});
