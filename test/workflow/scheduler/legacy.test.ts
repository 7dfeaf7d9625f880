/** The policy `legacy` against the recorded traces of the old scheduler. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as z from "zod";
import { isJsonObject } from "../../../src/content/json.ts";
import { openHost } from "../../../src/nursery/index.ts";
import { openMemoryStores } from "../../../src/store/index.ts";
import { openLocalQueue } from "../../../src/task/local.ts";
import type { Home, Scheduler } from "../../../src/workflow/scheduler/index.ts";
import { TestClock } from "../../support/clock.ts";
import { openTestScheduler, TEST_TIMEOUT_MS } from "../../support/scheduler.ts";
import { vectors } from "../vectors.ts";

const record = z.record(z.string(), z.unknown());
const { traces } = vectors(
  "workflow_traces.json",
  z.object({
    traces: z.array(
      z.object({
        name: z.string(),
        self: z.string(),
        bootstrap_peers: z.array(z.string()),
        stale_peers: z.array(z.string()),
        steps: z.array(z.object({ op: z.array(z.unknown()), result: record, status: record })),
      }),
    ),
  }),
);
const order = vectors(
  "priority_order.json",
  z.object({
    heap: z.array(
      z.object({
        name: z.string(),
        priorities_in_submission_order: z.array(z.number()),
        original_order_indexes: z.array(z.number()),
      }),
    ),
  }),
);

/** Carries one recorded step out, and gives what the recording has of it. */
async function step(scheduler: Scheduler, [verb, ...args]: readonly unknown[]): Promise<unknown> {
  const [id, more, priority] = args;
  if (verb === "submit") {
    const task = {
      taskId: String(id),
      workflowId: String(more),
      name: "",
      tags: [],
      priority: Number(priority),
    };
    return { accepted: await scheduler.submit(task) };
  }
  if (verb === "complete") return { ok: (await scheduler.complete(String(id), {})).success };
  if (verb === "peer") {
    assert.equal(scheduler.heard(String(id), more), undefined);
    return {};
  }
  const given = await scheduler.next();
  if (!given) return { task: null };
  return { task: { task_id: given.task.taskId, assigned_peer: given.owner, priority: given.task.priority } };
}

async function statusOf(scheduler: Scheduler, selfId: string): Promise<unknown> {
  const { pending, assigned, completed, knownPeers } = await scheduler.status();
  return {
    peer_id: selfId,
    merkle_clock: JSON.parse(JSON.stringify(scheduler.vector)),
    pending_tasks: pending,
    assigned_tasks: assigned,
    completed_tasks: completed,
    queue_size: pending,
    known_peers: knownPeers,
  };
}

async function withScheduler(
  selfId: string,
  body: (scheduler: Scheduler & { readonly home: Home }, clock: TestClock) => Promise<void>,
): Promise<void> {
  const clock = new TestClock();
  const host = openHost({ clock });
  const queue = openLocalQueue({ store: openMemoryStores().tasks, nursery: host.nursery, clock });
  await clock.autojump(
    host.nursery.run(() =>
      body(openTestScheduler({ clock, nursery: host.nursery, queue, selfId, policy: "legacy" }), clock),
    ),
  );
  await host.close();
}

describe("the policy legacy", () => {
  for (const { name, self, bootstrap_peers, stale_peers, steps } of traces) {
    it(`moves as the old scheduler did: ${name}`, () =>
      withScheduler(self, async (scheduler, clock) => {
        for (const peer of bootstrap_peers) scheduler.membership.heard(peer);
        if (stale_peers.length > 0) clock.jump(TEST_TIMEOUT_MS + 1);
        const vanishes = name.includes("vanish");
        for (const { op, result, status } of steps) {
          const actual = await step(scheduler, op);
          assert.deepEqual(actual, result, op.join(" "));
          const now = await statusOf(scheduler, self);
          assert.ok(isJsonObject(now));
          if (!vanishes || op[0] !== "next") assert.deepEqual(now, status, op.join(" "));
          // The original forgets what is another peer's when it comes across it; here it is kept for that peer.
          else assert.equal(now["pending_tasks"], 7);
        }
      }));
  }

  it("hands out equal priorities in the order of the original's heap", async () => {
    for (const { priorities_in_submission_order: priorities, original_order_indexes } of order.heap) {
      if (priorities.length === 0 || priorities.some((one) => one < 1 || one > 10)) continue;
      await withScheduler("me", async (scheduler) => {
        for (const [i, priority] of priorities.entries())
          await step(scheduler, ["submit", String(i), "w", priority]);
        const taken: number[] = [];
        for (let i = 0; i < priorities.length; i++) taken.push(Number((await scheduler.next())?.task.taskId));
        assert.deepEqual(taken, original_order_indexes);
      });
    }
  });
});
