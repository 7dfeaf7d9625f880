/** What every {@link TaskQueue} does, near or far. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CUT_MARK } from "../../src/task/drafts.ts";
import type { TaskQueue } from "../../src/task/queue.ts";
import { type JsonObject, jsonBytes } from "../../src/content/json.ts";
import {
  type LogLine,
  MAX_LOG_LINE_CHARS,
  MAX_LOG_LINES,
  MAX_PAYLOAD_BYTES,
  MAX_PROGRESS_BYTES,
  MAX_RESULT_BYTES,
} from "../../src/task/task.ts";
import { settled } from "../support/clock.ts";
import { type Bench, claimOne, code, submitOne } from "./bench.ts";
import { endings, waiting } from "./conformance-ends.ts";
import { following } from "./conformance-news.ts";

const ERROR = { code: "E_TOOL_FAILED", message: "no luck", failureClass: "internal" };

type Opener = (test: (bench: Bench) => Promise<void>) => Promise<void>;

/** Declares the suite. `open` runs a test with a fresh queue. */
export function describeTaskQueue(name: string, open: Opener): void {
  describe(`${name}: looking for work`, { timeout: 30_000 }, () => looking(open));
  describe(`${name}: submitting and claiming`, { timeout: 30_000 }, () => submitting(open));
  describe(`${name}: leases`, { timeout: 30_000 }, () => leases(open));
  describe(`${name}: the end of a task`, { timeout: 30_000 }, () => endings(open));
  describe(`${name}: waiting`, { timeout: 30_000 }, () => waiting(open));
  describe(`${name}: following`, { timeout: 30_000 }, () => following(open));
  describe(`${name}: reading`, { timeout: 30_000 }, () => reading(open));
  describe(`${name}: what is refused`, { timeout: 30_000 }, () => refusals(open));
  describe(`${name}: what fits`, { timeout: 30_000 }, () => sizes(open));
}

/** A line of a task's log. */
function line(message: string): LogLine {
  return { atMs: 1, stream: "stdout", message };
}

function submitting(open: Opener): void {
  it("keeps what was submitted, with the defaults", () =>
    open(async ({ queue, clock }) => {
      const payload = { text: "hé", nested: { list: [1, null, false] } };
      const id = await submitOne(queue, { payload });
      const task = await queue.get(id);
      assert.match(id, /^[0-9a-f]{32}$/);
      assert.deepEqual(task?.payload, payload);
      assert.deepEqual(
        [task?.type, task?.modelName, task?.priority, task?.maxAttempts, task?.state, task?.attempt],
        ["echo", "", 5, 3, "queued", 0],
      );
      assert.equal(task?.createdAtMs, clock.epochMs());
    }));

  it("hands out higher priorities first, and equal ones in order of submission", () =>
    open(async ({ queue }) => {
      const ids = new Map<string, string>();
      for (const [name, priority] of [
        ["a", 5],
        ["b", 9],
        ["c", 5],
        ["d", 1],
        ["e", 9],
      ] as const) {
        ids.set(await submitOne(queue, { priority }), name);
      }
      const claimed = await queue.claim({ workerId: "w", limit: 10 });
      assert.deepEqual(
        claimed.map(({ task }) => ids.get(task.id)),
        ["b", "e", "a", "c", "d"],
      );
    }));

  it("gives a worker only the types it takes, aliases included", () =>
    open(async ({ queue }) => {
      await submitOne(queue, { type: "echo" });
      const id = await submitOne(queue, { type: "tool", payload: { tool: "t" } });
      const claimed = await queue.claim({ workerId: "w", types: ["tool.call"], limit: 10 });
      assert.deepEqual(
        claimed.map(({ task }) => task.id),
        [id],
      );
    }));

  it("gives a task that needs a tool only to a worker that has it", () =>
    open(async ({ queue }) => {
      const id = await submitOne(queue, { type: "tool.call", payload: { tool: "fs__read" } });
      assert.deepEqual(await queue.claim({ workerId: "w", skills: ["tool:other"] }), []);
      const claimed = await queue.claim({ workerId: "w", skills: ["tool:fs__read"] });
      assert.deepEqual(
        claimed.map(({ task }) => task.id),
        [id],
      );
    }));

  it("gives the same task for the same idempotency key, and refuses it for other work", () =>
    open(async ({ queue }) => {
      const task = { type: "echo", payload: { a: 1, b: 2 }, idempotencyKey: "k" };
      const [first] = await queue.submit([task]);
      const [again] = await queue.submit([{ ...task, payload: { b: 2, a: 1 }, priority: 9 }]);
      assert.deepEqual(again, { taskId: first?.taskId, created: false });
      await assert.rejects(queue.submit([{ ...task, payload: { a: 2 } }]), code("E_IDEMPOTENCY_CONFLICT"));
    }));

  it("puts in all tasks of a submit or none", () =>
    open(async ({ queue }) => {
      await submitOne(queue, { idempotencyKey: "k", payload: { a: 1 } });
      const batch = [
        { type: "echo", payload: {} },
        { type: "echo", payload: { a: 2 }, idempotencyKey: "k" },
      ];
      await assert.rejects(queue.submit(batch), code("E_IDEMPOTENCY_CONFLICT"));
      assert.equal((await queue.stats()).byState.queued, 1);
      assert.deepEqual(await queue.submit([]), []);
    }));

  it("holds a delayed task back until its time, then wakes whoever waits", () =>
    open(async ({ queue, clock }) => {
      const id = await submitOne(queue, { delayMs: 5000 });
      const from = clock.now();
      assert.deepEqual(await queue.claim({ workerId: "w" }), []);
      const [claimed] = await clock.autojump(queue.claim({ workerId: "w", waitMs: 60_000 }));
      assert.equal(claimed?.task.id, id);
      assert.ok(clock.now() - from >= 5000 && clock.now() - from <= 5100, `after ${clock.now() - from} ms`);
    }));

  it("answers a waiting claim as soon as a task is there", () =>
    open(async ({ queue, clock }) => {
      const claim = queue.claim({ workerId: "w", waitMs: 60_000, types: ["echo"] });
      await settled();
      await submitOne(queue, { type: "other" });
      const id = await submitOne(queue);
      const from = clock.now();
      const [claimed] = await claim;
      assert.equal(claimed?.task.id, id);
      assert.equal(clock.now(), from);
    }));

  it("ends a waiting claim empty when its time is up", () =>
    open(async ({ queue, clock }) => {
      const from = clock.now();
      assert.deepEqual(await clock.autojump(queue.claim({ workerId: "w", waitMs: 2000 })), []);
      assert.equal(clock.now() - from, 2000);
    }));

  it("ends a claim whose caller gives up, and gives the next task to another", () =>
    open(async ({ queue }) => {
      const controller = new AbortController();
      const claim = queue.claim({ workerId: "w1", waitMs: 60_000 }, { signal: controller.signal });
      await settled();
      const other = queue.claim({ workerId: "w2", waitMs: 60_000 });
      await settled();
      controller.abort();
      await assert.rejects(claim, code("E_CANCELLED"));
      const id = await submitOne(queue);
      assert.deepEqual(
        (await other).map(({ task }) => [task.id, task.workerId]),
        [[id, "w2"]],
      );
    }));
}

function looking(open: Opener): void {
  it("tells when there is work, and takes none", () =>
    open(async ({ queue }) => {
      assert.equal(await queue.ready({}), false);
      const looks = [1, 2].map(() => queue.ready({ types: ["echo"], waitMs: 60_000 }));
      const other = queue.ready({ types: ["other"], waitMs: 60_000 });
      await settled();
      await submitOne(queue);
      assert.deepEqual(await Promise.all(looks), [true, true]);
      assert.equal(await queue.ready({ types: ["echo", "tool"], skills: [] }), true);
      assert.equal((await queue.stats()).ready, 1);
      await submitOne(queue, { type: "other" });
      assert.equal(await other, true);
    }));

  it("is in vain when the time is up first, and ends when the caller gives up", () =>
    open(async ({ queue, clock }) => {
      assert.equal(await clock.autojump(queue.ready({ waitMs: 5000 })), false);
      const controller = new AbortController();
      const look = queue.ready({ waitMs: 60_000 }, { signal: controller.signal });
      await settled();
      controller.abort();
      await assert.rejects(look, code("E_CANCELLED"));
    }));
}

function leases(open: Opener): void {
  it("grows the token with every claim and refuses the earlier one", () =>
    open(async ({ queue, clock }) => {
      await submitOne(queue);
      const first = await claimOne(queue, 1000);
      assert.equal(first.leaseUntilMs, clock.epochMs() + 1000);
      const from = clock.now();
      const [second] = await clock.autojump(queue.claim({ workerId: "w2", waitMs: 10_000 }));
      assert.ok(clock.now() - from <= 2000, "taken over within lease + 1 s");
      assert.equal(second?.task.id, first.task.id);
      assert.ok(second.lease.token > first.lease.token);
      assert.equal(second.task.attempt, 2);
      const { lease } = first;
      await assert.rejects(queue.renew(lease, 1000), code("E_LEASE_LOST"));
      await assert.rejects(queue.note(lease, {}), code("E_LEASE_LOST"));
      await assert.rejects(queue.complete(lease, {}), code("E_LEASE_LOST"));
      await assert.rejects(queue.fail(lease, { error: ERROR }), code("E_LEASE_LOST"));
      await assert.rejects(queue.release(lease, ""), code("E_LEASE_LOST"));
    }));

  it("lets nobody else act under a lease", () =>
    open(async ({ as }) => {
      const [mine, theirs] = [as("peer-a"), as("peer-b")];
      await submitOne(mine);
      const { lease } = await claimOne(mine);
      await assert.rejects(theirs.complete(lease, {}), code("E_LEASE_LOST"));
      await mine.complete(lease, { ok: true });
    }));

  it("keeps a task with a worker that renews", () =>
    open(async ({ queue, clock }) => {
      await submitOne(queue);
      const { lease, task } = await claimOne(queue, 1000);
      for (let i = 0; i < 5; i++) {
        clock.jump(900);
        await settled();
        assert.equal(await queue.renew(lease, 1000), clock.epochMs() + 1000);
      }
      assert.deepEqual(await queue.claim({ workerId: "w2" }), []);
      await queue.complete(lease, {});
      assert.equal((await queue.get(task.id))?.attempt, 1);
    }));

  it("gives a released task back to its place, without counting the attempt", () =>
    open(async ({ queue }) => {
      const id = await submitOne(queue);
      const { lease } = await claimOne(queue);
      await submitOne(queue);
      await queue.release(lease, "draining");
      const again = await claimOne(queue);
      assert.equal(again.task.id, id);
      assert.equal(again.task.attempt, 1);
      assert.ok(again.task.history.some((event) => event.kind === "released" && event.detail === "draining"));
    }));

  it("wakes a waiting claim when a task is released", () =>
    open(async ({ queue }) => {
      const id = await submitOne(queue);
      const { lease } = await claimOne(queue);
      const claim = queue.claim({ workerId: "w2", waitMs: 60_000 });
      await settled();
      await queue.release(lease, "");
      assert.deepEqual(
        (await claim).map(({ task }) => task.id),
        [id],
      );
    }));

  it("adds progress and the last log lines, long ones cut with a mark", () =>
    open(async ({ queue }) => {
      const id = await submitOne(queue);
      const { lease } = await claimOne(queue);
      const long = "x".repeat(MAX_LOG_LINE_CHARS - CUT_MARK.length - 1) + "\u{1F600}".repeat(20);
      await queue.note(lease, { progress: { done: 1, phase: "a" }, logs: [line("first")] });
      await queue.note(lease, {
        progress: { done: 2 },
        logs: [...Array.from({ length: MAX_LOG_LINES }, (_, i) => line(`${i}`)), line(long)],
      });
      const task = await queue.get(id);
      assert.deepEqual(task?.progress, { done: 2, phase: "a" });
      assert.equal(task.logs.length, MAX_LOG_LINES);
      assert.equal(task.logs[0]?.message, "1");
      const last = task.logs.at(-1)?.message ?? "";
      assert.ok(last.endsWith(CUT_MARK) && last.length <= MAX_LOG_LINE_CHARS && last.isWellFormed());
    }));
}

function reading(open: Opener): void {
  it("answers undefined for a task that it does not know", () =>
    open(async ({ queue }) => assert.equal(await queue.get("0".repeat(32)), undefined)));

  it("lists tasks by state and type, page after page", () =>
    open(async ({ queue }) => {
      const ids: string[] = [];
      for (let i = 0; i < 7; i++) ids.push(await submitOne(queue, { type: i % 2 ? "odd" : "even" }));
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await queue.list({ limit: 3, cursor });
        seen.push(...page.tasks.map((task) => task.id));
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      assert.deepEqual(seen, ids);
      assert.equal((await queue.list({ types: ["odd"] })).tasks.length, 3);
      assert.equal((await queue.list({ state: "running" })).tasks.length, 0);
      assert.equal((await queue.list()).tasks.length, 7);
    }));

  it("counts its tasks", () =>
    open(async ({ queue, clock }) => {
      await submitOne(queue);
      await submitOne(queue, { delayMs: 1000 });
      await submitOne(queue);
      const { lease } = await claimOne(queue);
      await queue.complete(lease, {});
      clock.jump(500);
      const stats = await queue.stats();
      assert.deepEqual(stats.byState, { queued: 2, running: 0, completed: 1, failed: 0, cancelled: 0 });
      assert.deepEqual([stats.ready, stats.deadLetters, stats.oldestReadyMs], [1, 0, 500]);
    }));
}

function sizes(open: Opener): void {
  it("keeps every task small enough for one message, whatever its parts grow to", () =>
    open(async ({ queue }) => {
      const around = jsonBytes({ text: "" });
      const body = (bytes: number): JsonObject => ({ text: "x".repeat(bytes - around) });
      const [receipt] = await queue.submit([{ type: "echo", payload: body(MAX_PAYLOAD_BYTES) }]);
      const { lease } = await claimOne(queue);
      // One control character has six bytes as JSON.
      const logs = Array.from({ length: MAX_LOG_LINES }, () => line("\u0001".repeat(MAX_LOG_LINE_CHARS)));
      await queue.note(lease, { progress: body(MAX_PROGRESS_BYTES), logs });
      await queue.complete(lease, body(MAX_RESULT_BYTES));
      const task = await queue.get(receipt?.taskId ?? "");
      assert.equal(task?.state, "completed");
      assert.ok(jsonBytes(task) > MAX_PAYLOAD_BYTES + MAX_RESULT_BYTES + MAX_PROGRESS_BYTES);
      assert.ok(jsonBytes(task) <= 15.1 * 1024 * 1024, `${jsonBytes(task)} bytes`);
    }));

  it("refuses progress that has grown too large, and keeps what was there", () =>
    open(async ({ queue }) => {
      const id = await submitOne(queue);
      const { lease } = await claimOne(queue);
      const half = "y".repeat(MAX_PROGRESS_BYTES / 2);
      await queue.note(lease, { progress: { a: half } });
      await assert.rejects(
        queue.note(lease, { progress: { b: half }, logs: [line("with it")] }),
        code("E_MESSAGE_TOO_LARGE"),
      );
      const task = await queue.get(id);
      assert.deepEqual([task?.progress, task?.logs], [{ a: half }, []]);
      await queue.note(lease, { progress: { a: "", b: half } });
    }));
}

function refusals(open: Opener): void {
  const lease = { taskId: "0".repeat(32), token: 1 };
  const task = { type: "echo", payload: {} };
  const wrong: Readonly<Record<string, (queue: TaskQueue) => Promise<unknown>>> = {
    "a priority of 11": (queue) => queue.submit([{ ...task, priority: 11 }]),
    "a type without a name": (queue) => queue.submit([{ ...task, type: "" }]),
    "a negative delay": (queue) => queue.submit([{ ...task, delayMs: -1 }]),
    "no attempts": (queue) => queue.submit([{ ...task, maxAttempts: 0 }]),
    "more than a batch": (queue) => queue.submit(Array.from({ length: 1001 }, () => task)),
    "half a character": (queue) => queue.submit([{ ...task, payload: { text: "\ud800" } }]),
    "a claim of nothing": (queue) => queue.claim({ workerId: "w", limit: 0 }),
    "a claim by nobody": (queue) => queue.claim({ workerId: "" }),
    "a claim that waits too long": (queue) => queue.claim({ workerId: "w", waitMs: 60_001 }),
    "a lease of a moment": (queue) => queue.claim({ workerId: "w", leaseMs: 999 }),
    "a renewal for ever": (queue) => queue.renew(lease, Number.POSITIVE_INFINITY),
    "a token of 0": (queue) => queue.complete({ ...lease, token: 0 }, {}),
    "a retry in a year": (queue) => queue.fail(lease, { error: ERROR, retry: true, retryAfterMs: 4e10 }),
    "a page of 1001": (queue) => queue.list({ limit: 1001 }),
    "a wait of an hour": (queue) => queue.wait(lease.taskId, 3_600_000),
    "a wait of no known length": (queue) => queue.wait(lease.taskId, Number.NaN),
  };
  for (const [what, call] of Object.entries(wrong)) {
    it(`refuses ${what}`, () =>
      open(async ({ queue }) => {
        await assert.rejects(call(queue), code("E_INVALID_INPUT"));
        assert.equal((await queue.stats()).byState.queued, 0);
      }));
  }

  it("refuses bodies that do not fit into a frame", () =>
    open(async ({ queue }) => {
      const big = { text: "x".repeat(MAX_RESULT_BYTES) };
      await assert.rejects(queue.submit([{ type: "echo", payload: big }]), code("E_MESSAGE_TOO_LARGE"));
      await submitOne(queue);
      const claimed = await claimOne(queue);
      await assert.rejects(queue.complete(claimed.lease, big), code("E_MESSAGE_TOO_LARGE"));
      await assert.rejects(queue.note(claimed.lease, { progress: big }), code("E_MESSAGE_TOO_LARGE"));
    }));
}
