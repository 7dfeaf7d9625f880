/** What a caller that asks for progress hears while it waits for a task, and what one hears that follows it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OWNER } from "../../src/authority/caller.ts";
import { isJsonObject, type JsonObject } from "../../src/content/json.ts";
import { openSmallNode } from "../server/support.ts";
import { TestClock } from "../support/clock.ts";

const TASK = { task_type: "t", model_name: "", payload: { large: "x" } };

function asObject(value: unknown): JsonObject {
  assert.ok(isJsonObject(value), JSON.stringify(value));
  return value;
}

function objectIn(answer: JsonObject, key: string): JsonObject {
  return asObject(answer[key]);
}

describe("waiting for a task", () => {
  it("tells a caller that wants to know every 15 s that the wait goes on", async () => {
    const clock = new TestClock();
    await using timed = await openSmallNode({ clock });
    const { task_id: taskId } = await clock.autojump(timed.call("p2p_taskqueue_submit", TASK));
    const seen: unknown[] = [];
    const onProgress = (...progress: unknown[]): void => void seen.push(progress);
    const args = { task_id: taskId, timeout_s: 60 };
    const begunMs = clock.now();
    const answer = await clock.autojump(
      timed.server.callTool("p2p_taskqueue_wait_task", args, { caller: OWNER, onProgress }),
    );
    assert.deepEqual(
      seen,
      [15, 30, 45].map((waited) => [waited, 60, "task is queued"]),
    );
    assert.equal(asObject(answer.structuredContent)["timed_out"], true);
    assert.ok(clock.now() - begunMs <= 60_000);
  });

  it("tells such a caller what the task writes while it waits", async () => {
    await using node = await openSmallNode();
    const seen: unknown[] = [];
    const heard = Promise.withResolvers<void>();
    const onProgress = (_done: number, _total?: number, message?: string): void => {
      seen.push(message);
      if (message === "two") heard.resolve();
    };
    const taskId = String((await node.call("p2p_taskqueue_submit", TASK))["task_id"]);
    const args = { task_id: taskId, timeout_s: 20 };
    const waiting = node.server.callTool("p2p_taskqueue_wait_task", args, { caller: OWNER, onProgress });
    const claimed = objectIn(await node.call("p2p_taskqueue_claim_next", { worker_id: "w" }), "task");
    const lease = { task_id: taskId, lease_token: claimed["lease_token"] };
    for (const message of ["one", "two"]) {
      const logs = [{ stream: "stdout", message }];
      await node.call("p2p_taskqueue_renew_task", { ...lease, logs });
    }
    await heard.promise;
    await node.call("p2p_taskqueue_complete_task", { ...lease, status: "completed", result: { n: 1 } });
    assert.equal(objectIn(asObject((await waiting).structuredContent), "task")["status"], "completed");
    assert.ok(
      seen.some((message) => String(message).includes("one")),
      seen.join("; "),
    );
  });

  it("gives whoever follows it the news since, without the payload, and refuses a point that nobody gave", async () => {
    await using node = await openSmallNode();
    const { task_id: id } = await node.call("p2p_taskqueue_submit", TASK);
    const claimed = objectIn(await node.call("p2p_taskqueue_claim_next", { worker_id: "w" }), "task");
    const say = (message: string): Promise<JsonObject> =>
      node.call("p2p_taskqueue_renew_task", {
        task_id: String(id),
        lease_token: claimed["lease_token"],
        logs: [{ stream: "stdout", message }],
      });
    const follow = (since: unknown): Promise<JsonObject> =>
      node.call("p2p_taskqueue_wait_task", { task_id: String(id), timeout_s: 20, since });
    await say("one");
    const first = await follow("");
    await say("two");
    const second = await follow(first["next"]);
    const { payload, bodies_omitted, result } = objectIn(second, "task");
    const [line, ...more] = Array.isArray(asObject(result)["logs"]) ? [asObject(result)["logs"]].flat() : [];
    assert.deepEqual(
      [payload, bodies_omitted, asObject(line)["message"], more.length],
      [null, true, "two", 0],
    );
    assert.deepEqual([second["missed"], second["timed_out"]], [0, true]);
    for (const since of ["x", "-1:2", `${"9".repeat(40)}:1`])
      assert.equal((await follow(since))["error_code"], "E_INVALID_INPUT");
  });
});
