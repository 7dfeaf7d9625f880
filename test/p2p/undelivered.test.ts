/** What becomes of tasks whose claim was answered to nobody. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "../../src/clock.ts";
import type { Nursery } from "../../src/nursery/index.ts";
import type { P2pHost } from "../../src/p2p/index.ts";
import type { P2pLimits } from "../../src/p2p/index.ts";
import { openMemoryStores } from "../../src/store/index.ts";
import { type LocalTaskQueue, openLocalQueue } from "../../src/task/local.ts";
import { serveTaskMethods } from "../../src/task/methods.ts";
import type { TaskQueue } from "../../src/task/queue.ts";
import { remoteQueue } from "../../src/task/remote.ts";
import { addressOf, type Open, text, withHosts } from "./hosts.ts";

interface Line {
  readonly owner: LocalTaskQueue;
  readonly far: TaskQueue;
  readonly worker: P2pHost;
}

async function line(open: Open, nursery: Nursery, limits: Partial<P2pLimits> = {}): Promise<Line> {
  const owner = openLocalQueue({ store: openMemoryStores().tasks, nursery, clock: systemClock });
  const host = await open({ methods: serveTaskMethods(owner), limits });
  const worker = await open({});
  return { owner, worker, far: remoteQueue(worker.rpc, { multiaddr: addressOf(host) }) };
}

/** Waits until no task is under lease; the test's own deadline bounds it. */
async function untilNoneRuns({ queue }: LocalTaskQueue): Promise<void> {
  while ((await queue.stats()).byState.running > 0) await new Promise((resolve) => setImmediate(resolve));
}

describe("a claim over libp2p", { timeout: 60_000 }, () => {
  it("leaves no lease behind when it is given up, whenever that is", () =>
    withHosts(async (open, nursery) => {
      const { owner, far } = await line(open, nursery);
      await far.stats();
      for (let i = 0; i < 100; i++) {
        const controller = new AbortController();
        const { signal } = controller;
        const claim = far.claim({ workerId: "w", waitMs: 25_000, leaseMs: 3_600_000 }, { signal });
        const ended = claim.then(
          async (got) => Promise.all(got.map(({ lease }) => far.release(lease, ""))),
          () => undefined,
        );
        if (i === 0) await owner.queue.submit([{ type: "t", payload: {} }]);
        for (let turns = i % 10; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
        controller.abort();
        await ended;
        await untilNoneRuns(owner);
      }
      const { tasks } = await owner.queue.list();
      assert.deepEqual(
        tasks.map(({ state, attempt }) => [state, attempt]),
        [["queued", 0]],
      );
    }));

  it("leaves no lease behind when its answer fits into no frame", () =>
    withHosts(async (open, nursery) => {
      // An owner that sends less than others accept.
      const { owner, far } = await line(open, nursery, { maxFrameBytes: 1 << 20 });
      const [receipt] = await owner.queue.submit([{ type: "t", payload: { big: text(2 << 20) } }]);
      const taskId = receipt?.taskId ?? "";

      await assert.rejects(far.claim({ workerId: "w" }), { code: "E_MESSAGE_TOO_LARGE" });
      await untilNoneRuns(owner);
      assert.equal((await owner.queue.get(taskId))?.attempt, 0);
    }));
});
