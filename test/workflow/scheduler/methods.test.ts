/** The scheduler of one node, asked by another over the table of methods. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Caller } from "../../../src/authority/caller.ts";
import { systemClock } from "../../../src/clock.ts";
import { openHost } from "../../../src/nursery/index.ts";
import { openMemoryStores } from "../../../src/store/index.ts";
import { openLocalQueue } from "../../../src/task/local.ts";
import { serveTaskMethods } from "../../../src/task/methods.ts";
import { remoteQueue } from "../../../src/task/remote.ts";
import {
  remoteHome,
  serveWorkflowMethods,
  type WorkflowHome,
} from "../../../src/workflow/scheduler/index.ts";
import { FRIEND, STRANGER } from "../../server/support.ts";
import { LoopbackRpc } from "../../support/loopback-rpc.ts";
import { openTestScheduler } from "../../support/scheduler.ts";

const TASK = { taskId: "t", workflowId: "w", name: "n", tags: ["p2p-only"], priority: 7 } as const;
const LEASE_MS = 5000;

/** A home with one task in it, as `caller` sees it. */
async function homeOf(
  t: TestContext,
  caller: Caller,
): Promise<{ readonly home: WorkflowHome; readonly undo: () => Promise<void> }> {
  const host = openHost({ clock: systemClock });
  t.after(() => host.close());
  const { nursery } = host;
  const local = openLocalQueue({ store: openMemoryStores().tasks, nursery, clock: systemClock });
  const scheduler = openTestScheduler({ clock: systemClock, nursery, queue: local, selfId: "home" });
  await scheduler.submit(TASK);
  const served = serveWorkflowMethods(scheduler.home, (holder) => local.as(holder));
  const rpc = new LoopbackRpc({ nursery, methods: [...served, ...serveTaskMethods(local)], caller });
  const home = remoteHome(rpc, { peerId: "home" }, remoteQueue(rpc, { peerId: "home" }));
  return {
    home,
    undo: async () => {
      const call = served.find(({ name }) => name === "workflow.claim")?.parse({ leaseMs: LEASE_MS });
      await call?.run({ caller, signal: new AbortController().signal });
      await call?.undo?.();
    },
  };
}

describe("the scheduler of another node", () => {
  it("offers, gives, and knows who has what", async (t) => {
    const { home } = await homeOf(t, FRIEND);
    assert.equal((await home.offer())?.priority, 7);
    assert.equal(await home.held("t"), undefined);
    const claimed = await home.claim(LEASE_MS);
    assert.deepEqual(claimed?.task, TASK);
    assert.deepEqual(await home.held("t"), claimed?.lease);
    assert.equal(await home.offer(), undefined);
    assert.equal(await home.claim(LEASE_MS), undefined);
  });

  it("gives nothing to a stranger, not even the news that there is something", async (t) => {
    const { home } = await homeOf(t, STRANGER);
    for (const asked of [home.offer(), home.claim(LEASE_MS), home.held("t")])
      await assert.rejects(asked, { code: "E_DENIED" });
  });

  it("takes a task back whose claim did not reach its worker", async (t) => {
    const { home, undo } = await homeOf(t, FRIEND);
    await undo();
    assert.equal((await home.claim(LEASE_MS))?.task.taskId, "t");
  });
});
