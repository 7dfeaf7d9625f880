/** What every {@link TaskQueue} does when tasks end. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { settled } from "../support/clock.ts";
import { type Bench, claimOne, code, submitOne } from "./bench.ts";

const ERROR = { code: "E_TOOL_FAILED", message: "no luck", failureClass: "internal" };

type Opener = (test: (bench: Bench) => Promise<void>) => Promise<void>;

/** How tasks end. */
export function endings(open: Opener): void {
  it("accepts a result once, and its repetition under the same lease", () =>
    open(async ({ queue }) => {
      const id = await submitOne(queue);
      const { lease } = await claimOne(queue);
      await queue.complete(lease, { answer: 42 });
      await queue.complete(lease, { answer: 42 });
      const task = await queue.get(id);
      assert.deepEqual([task?.state, task?.result], ["completed", { answer: 42 }]);
      assert.equal(task?.history.filter(({ kind }) => kind === "completed").length, 1);
    }));

  it("fails a task for good when no retry is asked for", () =>
    open(async ({ queue }) => {
      const id = await submitOne(queue);
      const { lease } = await claimOne(queue);
      await queue.fail(lease, { error: ERROR, result: { half: 1 } });
      const task = await queue.get(id);
      assert.deepEqual(
        [task?.state, task?.deadLetter, task?.error, task?.result],
        ["failed", false, ERROR, { half: 1 }],
      );
    }));

  it("tries again after a pause, and dead-letters the task when its attempts are used up", () =>
    open(async ({ queue, clock }) => {
      const id = await submitOne(queue, { maxAttempts: 2 });
      const first = await claimOne(queue);
      await queue.fail(first.lease, { error: ERROR, retry: true, retryAfterMs: 7000 });
      assert.equal((await queue.get(id))?.state, "queued");
      assert.deepEqual((await queue.get(id))?.error, ERROR);
      const from = clock.now();
      const [second] = await clock.autojump(queue.claim({ workerId: "w", waitMs: 60_000 }));
      assert.ok(clock.now() - from >= 7000 && clock.now() - from < 7100);
      assert.ok(second);
      await queue.fail(second.lease, { error: ERROR, retry: true });
      await queue.fail(second.lease, { error: ERROR, retry: true });
      const task = await queue.get(id);
      assert.deepEqual([task?.state, task?.deadLetter, task?.attempt], ["failed", true, 2]);
    }));

  it("tries again at once if asked to", () =>
    open(async ({ queue }) => {
      const id = await submitOne(queue);
      const { lease } = await claimOne(queue);
      const claim = queue.claim({ workerId: "w2", waitMs: 60_000 });
      await settled();
      await queue.fail(lease, { error: ERROR, retry: true, retryAfterMs: 0 });
      assert.deepEqual(
        (await claim).map(({ task }) => task.id),
        [id],
      );
    }));

  it("dead-letters a task whose workers went away too often, and tells who waits", () =>
    open(async ({ queue, clock }) => {
      const id = await submitOne(queue, { maxAttempts: 1 });
      await claimOne(queue, 1000);
      const outcome = await clock.autojump(queue.wait(id, 10_000));
      assert.equal(outcome.finished, true);
      assert.deepEqual([outcome.task.state, outcome.task.deadLetter], ["failed", true]);
    }));

  it("cancels queued and running tasks, but not finished or unknown ones", () =>
    open(async ({ queue }) => {
      const queued = await submitOne(queue);
      await queue.cancel(queued, "not needed");
      assert.equal((await queue.get(queued))?.state, "cancelled");
      assert.match((await queue.get(queued))?.error?.message ?? "", /not needed/);

      const running = await submitOne(queue);
      const { lease } = await claimOne(queue);
      assert.equal(lease.taskId, running);
      await queue.cancel(running, "");
      await assert.rejects(queue.renew(lease, 1000), code("E_LEASE_LOST"));
      await assert.rejects(queue.complete(lease, {}), code("E_LEASE_LOST"));
      await assert.rejects(queue.cancel(running, ""), code("E_TASK_FINISHED"));
      await assert.rejects(queue.cancel("0".repeat(32), ""), code("E_TASK_NOT_FOUND"));
    }));
}

/** How their ends are waited for. */
export function waiting(open: Opener): void {
  it("ends with the completion, without any time passing", () =>
    open(async ({ queue, clock }) => {
      const id = await submitOne(queue);
      const waits = Array.from({ length: 5 }, () => queue.wait(id, 60_000));
      await settled();
      const { lease } = await claimOne(queue);
      const from = clock.now();
      await queue.complete(lease, { answer: 42 });
      for (const { finished, task } of await Promise.all(waits)) {
        assert.deepEqual([finished, task.state, task.result], [true, "completed", { answer: 42 }]);
      }
      assert.equal(clock.now(), from);
      assert.equal((await queue.wait(id, 0)).finished, true);
    }));

  it("ends unfinished when the time is up", () =>
    open(async ({ queue, clock }) => {
      const id = await submitOne(queue);
      const from = clock.now();
      const wait = queue.wait(id, 150_000);
      await settled();
      await claimOne(queue, 3_600_000);
      const outcome = await clock.autojump(wait);
      assert.deepEqual([outcome.finished, outcome.task.state], [false, "running"]);
      assert.equal(clock.now() - from, 150_000);
      assert.equal((await queue.wait(id, 0)).finished, false);
    }));

  it("ends when the task fails or is cancelled", () =>
    open(async ({ queue }) => {
      const failing = await submitOne(queue);
      const { lease } = await claimOne(queue);
      const cancelled = await submitOne(queue);
      const waits = [queue.wait(failing, 60_000), queue.wait(cancelled, 60_000)];
      await settled();
      await queue.fail(lease, { error: ERROR });
      await queue.cancel(cancelled, "");
      const outcomes = await Promise.all(waits);
      assert.deepEqual(
        outcomes.map(({ task }) => task.state),
        ["failed", "cancelled"],
      );
    }));

  it("refuses an unknown task and ends when the caller gives up", () =>
    open(async ({ queue }) => {
      await assert.rejects(queue.wait("0".repeat(32), 60_000), code("E_TASK_NOT_FOUND"));
      const controller = new AbortController();
      const wait = queue.wait(await submitOne(queue), 60_000, { signal: controller.signal });
      await settled();
      controller.abort();
      await assert.rejects(wait, code("E_CANCELLED"));
    }));
}
