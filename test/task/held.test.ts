import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { claimOne, code, submitOne, withQueue } from "./bench.ts";

const ERROR = { code: "E_TOOL_FAILED", message: "no luck", failureClass: "internal" };

describe("ending a task without a token", { timeout: 30_000 }, () => {
  const completed = { kind: "completed", result: { ok: true } } as const;

  it("is accepted once, from the holder of the first lease", () =>
    withQueue(async ({ local, as }) => {
      const id = await submitOne(as("peer-a"));
      await assert.rejects(local.completeHeld("peer-a", id, completed), code("E_LEASE_LOST"));
      await claimOne(as("peer-a"));
      await assert.rejects(local.completeHeld("peer-b", id, completed), code("E_LEASE_LOST"));
      const wait = local.queue.wait(id, 60_000);
      const twice = await Promise.allSettled([
        local.completeHeld("peer-a", id, completed),
        local.completeHeld("peer-a", id, { kind: "completed", result: { other: true } }),
      ]);
      assert.deepEqual(
        twice.map(({ status }) => status),
        ["fulfilled", "rejected"],
      );
      assert.deepEqual((await wait).task.result, { ok: true });
      await assert.rejects(local.completeHeld("peer-a", id, completed), code("E_TASK_FINISHED"));
      await assert.rejects(local.completeHeld("peer-a", "0".repeat(32), completed), code("E_TASK_NOT_FOUND"));
    }));

  it("is refused once the task was claimed again", () =>
    withQueue(async ({ local, queue }) => {
      const id = await submitOne(queue);
      const { lease } = await claimOne(queue);
      await queue.release(lease, "");
      await claimOne(queue);
      await assert.rejects(local.completeHeld("owner", id, completed), code("E_LEASE_TOKEN_REQUIRED"));
    }));

  it("can report a failure", () =>
    withQueue(async ({ local, queue }) => {
      const id = await submitOne(queue);
      await claimOne(queue);
      await local.completeHeld("owner", id, { kind: "failed", failure: { error: ERROR } });
      assert.equal((await queue.get(id))?.state, "failed");
    }));
});
