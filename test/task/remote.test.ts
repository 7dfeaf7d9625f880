import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OWNER, type Caller } from "../../src/authority/caller.ts";
import { serveTaskMethods } from "../../src/task/methods.ts";
import { remoteQueue } from "../../src/task/remote.ts";
import type { TaskQueue } from "../../src/task/queue.ts";
import { settled } from "../support/clock.ts";
import { LoopbackRpc } from "../support/loopback-rpc.ts";
import { type Bench, claimOne, code, submitOne, withQueue } from "./bench.ts";

/** Runs `test` with a connection that can break, and the queue behind it. */
function withLink(
  test: (far: TaskQueue, rpc: LoopbackRpc, bench: Bench) => Promise<void>,
  caller: Caller = OWNER,
): Promise<void> {
  return withQueue((bench) => {
    const { local, nursery, clock } = bench;
    const rpc = new LoopbackRpc({ nursery, clock, caller, methods: serveTaskMethods(local) });
    return test(remoteQueue(rpc, { peerId: "far" }, clock), rpc, bench);
  });
}

describe("a wait on a peer's queue", { timeout: 30_000 }, () => {
  it("outlives a broken connection and ends with the completion", () =>
    withLink(async (far, rpc, { queue, clock }) => {
      const id = await submitOne(far);
      const wait = far.wait(id, 60_000);
      await settled();
      rpc.cut();
      await settled();
      clock.jump(3000);
      await settled();
      const { lease } = await claimOne(queue);
      await queue.complete(lease, { answer: 42 });
      rpc.mend();
      const { finished, task } = await clock.autojump(wait);
      assert.deepEqual([finished, task.result], [true, { answer: 42 }]);
    }));

  it("throws the last failure when the time is up and nobody came back", () =>
    withLink(async (far, rpc, { clock }) => {
      const id = await submitOne(far);
      rpc.cut();
      await assert.rejects(clock.autojump(far.wait(id, 20_000)), code("E_UNREACHABLE"));
      assert.ok(clock.now() <= 20_000);
      const asked = rpc.calls.get("task.wait") ?? 0;
      assert.ok(asked >= 5 && asked <= 10, `asked ${asked} times`);
    }));

  it("asks again at least once a minute", () =>
    withLink(async (far, rpc, { clock }) => {
      const id = await submitOne(far);
      assert.equal((await clock.autojump(far.wait(id, 150_000))).finished, false);
      assert.equal(rpc.calls.get("task.wait"), 3);
    }));

  it("does not try again what will fail again", () =>
    withLink(async (far, rpc) => {
      await assert.rejects(far.wait("0".repeat(32), 60_000), code("E_TASK_NOT_FOUND"));
      assert.equal(rpc.calls.get("task.wait"), 1);
    }));
});

describe("a peer's queue", { timeout: 30_000 }, () => {
  it("is given a key with each task, so that a repeated submit makes no second one", () =>
    withLink(async (far, _rpc, { queue }) => {
      const task = await queue.get(await submitOne(far));
      assert.match(task?.idempotencyKey ?? "", /^request:[0-9a-f-]{36}$/);
    }));

  it("gives tasks back that were claimed by a peer whose connection broke meanwhile", () =>
    withLink(async (far, rpc, { queue, clock }) => {
      const lost = assert.rejects(far.claim({ workerId: "w", waitMs: 30_000 }), code("E_CONNECTION_LOST"));
      await settled();
      rpc.cut();
      await lost;
      await settled();
      const id = await submitOne(queue);
      assert.equal((await claimOne(queue)).task.id, id);
      assert.equal(clock.now(), 0);
    }));

  it("answers a claim with as many tasks as one message carries, and keeps the rest claimable", () =>
    withLink(async (far, _rpc, { queue }) => {
      const payload = { text: "x".repeat(3 * 1024 * 1024) };
      for (let n = 0; n < 3; n++) await queue.submit([{ type: "echo", payload: { n, ...payload } }]);
      const order = async (): Promise<unknown[]> =>
        (await far.claim({ workerId: "w", limit: 3 })).map(({ task }) => [task.payload["n"], task.attempt]);
      assert.deepEqual(await order(), [
        [0, 1],
        [1, 1],
      ]);
      assert.deepEqual(await order(), [[2, 1]]);
    }));

  it("does nothing for a caller without the grant", () =>
    withLink(
      async (far, _rpc, { queue }) => {
        await assert.rejects(submitOne(far), code("E_DENIED"));
        await assert.rejects(far.claim({ workerId: "w" }), code("E_DENIED"));
        await assert.rejects(far.list(), code("E_DENIED"));
        assert.equal((await queue.stats()).byState.queued, 0);
      },
      { kind: "peer", peerId: "stranger", sameMachine: false, provedToken: false },
    ));
});
