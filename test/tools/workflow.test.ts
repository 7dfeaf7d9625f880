/** The seven tools of the workflow scheduler, called through the dispatch as every wire calls them. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import * as z from "zod";
import type { JsonObject } from "../../src/content/json.ts";
import { laneOfAssigned } from "../../src/task/routing.ts";
import { AFFINITY_WINDOW_MS } from "../../src/workflow/scheduler/index.ts";
import { FRIEND, openSmallNode, SELF, type SmallNode } from "../server/support.ts";
import { TestClock } from "../support/clock.ts";
import { vectors } from "../workflow/vectors.ts";

const json = z.record(z.string(), z.unknown());
const { rows } = vectors(
  "mcp_tool_results.json",
  z.object({ rows: z.array(z.object({ tool: z.string(), arguments: json, result: json })) }),
);

const START_MS = 1_700_000_006_000;

describe("the tools of the workflow scheduler", () => {
  let node: SmallNode;
  let clock: TestClock;
  beforeEach(async () => {
    clock = new TestClock(START_MS);
    node = await openSmallNode({ clock });
  });
  afterEach(async () => node[Symbol.asyncDispose]());

  const submit = (taskId: string, extra: JsonObject = {}): Promise<JsonObject> =>
    node.call("p2p_submit_task", { task_id: taskId, workflow_id: "wf", name: "n", tags: [], ...extra });
  const next = (): Promise<JsonObject> => node.call("p2p_get_next_task");
  const complete = (taskId: string): Promise<JsonObject> =>
    node.call("p2p_mark_task_complete", { task_id: taskId });

  it("answer the recorded calls as recorded", async () => {
    const recorded = rows.filter(({ result }) => result["tool"] !== undefined && "timestamp" in result);
    assert.equal(recorded.length, 7);
    for (const { tool, arguments: args, result } of recorded) {
      // The one defect: a priority beyond 10 was taken.
      if (args["priority"] === 99) {
        assert.equal((await node.call(tool, args))["error_code"], "E_INVALID_INPUT");
        await submit("t2");
        continue;
      }
      const answer = await node.call(tool, args);
      assert.equal(answer["timestamp"], clock.epochMs() / 1000);
      const text = JSON.stringify(result).replaceAll("peer-test", SELF);
      const expected = json.parse(JSON.parse(text));
      for (const [member, value] of Object.entries(expected)) {
        if (member === "timestamp") continue;
        // The original counts a merge as an event, with which clocks never become equal; its root is of that text.
        if (tool === "p2p_get_merkle_clock" && member === "vector") {
          assert.deepEqual(answer[member], { [SELF]: 3, q: 3 });
        } else if (tool === "p2p_get_merkle_clock" && member === "merkle_root") {
          assert.match(String(answer[member]), /^[0-9a-f]{64}$/);
        } else if (member === "task") {
          const { home_peer: home, ...task } = json.parse(answer[member]);
          assert.deepEqual(task, value);
          assert.equal(home, SELF);
        } else assert.deepEqual(answer[member], value, `${tool} ${member}`);
      }
    }
  });

  it("hand out a higher priority first, then first in, first out", async () => {
    for (const [i, priority] of [5, 8, 5, 8, 5, 8].entries()) await submit(`t${i}`, { priority });
    const order: unknown[] = [];
    for (;;) {
      const { task } = await next();
      if (task === null) break;
      order.push(json.parse(task)["task_id"]);
    }
    assert.deepEqual(order, ["t1", "t3", "t5", "t0", "t2", "t4"]);
  });

  it("refuse an id that has not ended, and take it again afterwards, with other work too", async () => {
    assert.equal((await submit("t"))["success"], true);
    assert.equal((await submit("t"))["success"], false);
    assert.equal((await submit("t", { name: "other" }))["success"], false);
    await next();
    assert.equal((await submit("t"))["success"], false);
    assert.equal((await complete("t"))["success"], true);
    assert.equal((await complete("t"))["success"], false);
    assert.equal((await submit("t"))["success"], true);
    assert.equal(json.parse((await next())["task"])["task_id"], "t");
    await complete("t");
    assert.equal((await submit("t", { name: "other" }))["success"], true);
  });

  it("say how many tasks are where", async () => {
    for (const id of ["a", "b", "c"]) await submit(id);
    await next();
    await next();
    await complete("a");
    const { pending_tasks, assigned_tasks, completed_tasks, queue_size, held_tasks, peer_id } =
      await node.call("p2p_scheduler_status");
    assert.deepEqual(
      { pending_tasks, assigned_tasks, completed_tasks, queue_size, held_tasks, peer_id },
      {
        pending_tasks: 1,
        assigned_tasks: 1,
        completed_tasks: 1,
        queue_size: 1,
        held_tasks: 1,
        peer_id: SELF,
      },
    );
  });

  it("do not complete what was not given out", async () => {
    await submit("t");
    const { success, reason } = await complete("t");
    assert.equal(success, false);
    assert.match(String(reason), /not given/);
    assert.equal((await complete("nope"))["success"], false);
  });

  it("keep a claim of the bare queue away from the scheduler's tasks", async () => {
    await submit("t");
    for (const types of [null, ["workflow.task"]]) {
      const claim = { worker_id: "w", supported_task_types: types };
      assert.equal((await node.call("p2p_taskqueue_claim_next", claim))["task"], null);
    }
    assert.notEqual((await next())["task"], null);
  });

  it("give a task back whose worker does not come back, to another one", async () => {
    await submit("t");
    const claim = node.local.claimLane("gone", laneOfAssigned("t"), { workerId: "gone", leaseMs: 1000 });
    assert.notEqual(await claim, undefined);
    assert.equal((await next())["task"], null);
    clock.jump(1001 + AFFINITY_WINDOW_MS);
    await clock.autojump(node.local.queue.stats());
    assert.notEqual((await next())["task"], null);
  });

  it("believe a clock about its own node only, and refuse one that does not hold together", async () => {
    const update = (peerId: string, clock_data: JsonObject, from?: typeof FRIEND): Promise<JsonObject> =>
      node.call("p2p_update_peer_state", { peer_id: peerId, clock_data }, from);
    assert.equal((await update("q", { node_id: "q", vector: { q: 3, r: 10 ** 25 } }))["success"], true);
    assert.equal((await update("q", { vector: { q: 4 } }))["error_code"], "E_INVALID_INPUT");
    assert.equal((await update("q", { node_id: "r", vector: { r: 4 } }))["error_code"], "E_INVALID_INPUT");
    const forged = { node_id: "q", vector: { q: 4 }, merkle_root: "f".repeat(64) };
    assert.equal((await update("q", forged))["error_code"], "E_INVALID_INPUT");
    assert.equal((await update("q", { node_id: "q", vector: { q: 9 } }, FRIEND))["error_code"], "E_DENIED");
    const { vector } = await node.call("p2p_get_merkle_clock");
    assert.deepEqual(vector, { [SELF]: 0, q: 3 });
  });

  it("refuse arguments out of bounds with a code", async () => {
    for (const [tool, args] of [
      ["p2p_submit_task", { task_id: "", workflow_id: "w", name: "n", tags: [] }],
      ["p2p_submit_task", { task_id: "x".repeat(201), workflow_id: "w", name: "n", tags: [] }],
      ["p2p_submit_task", { task_id: "t", workflow_id: "w", name: "n", tags: [], priority: 0 }],
      ["p2p_submit_task", { task_id: "t", workflow_id: "w", name: "n", tags: "p2p-only" }],
      ["p2p_mark_task_complete", {}],
      ["p2p_check_workflow_tags", { tags: 3 }],
      ["p2p_get_next_task", { peer: "x" }],
    ] as const) {
      assert.equal((await node.call(tool, args))["error_code"], "E_INVALID_INPUT", tool);
    }
  });
});
