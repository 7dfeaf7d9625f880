/** The worker with a real queue: what it runs, and how often. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { JsonObject } from "../../src/content/json.ts";
import { DeniedError, MethodNotFoundError, ToolFailedError } from "../../src/errors.ts";
import { sleepForever } from "../../src/nursery/index.ts";
import { openMemoryStores } from "../../src/store/index.ts";
import type { TaskQueue } from "../../src/task/queue.ts";
import { createHandlers, type Handler, type ToolOutcome } from "../../src/worker/index.ts";
import { settled } from "../support/clock.ts";
import { controlled, LEASE_MS, World } from "../support/work.ts";

const CHATTY: Handler = {
  type: "t",
  aliases: [],
  async run(_task, { progress }) {
    for (let i = 0; i < 1000; i++) progress({ i });
    await sleepForever();
    return {};
  },
};

/** What a tool of ours answers when it fails. */
function failure(code: string, failureClass: string): ToolOutcome {
  const told = { ok: false, error: `it says ${code}`, error_code: code, failure_class: failureClass };
  return { isError: true, content: [{ type: "text", text: JSON.stringify(told) }], structuredContent: told };
}

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

describe("a worker", () => {
  it("runs what is submitted and gives the result", async () => {
    world.start(createHandlers({ callTool: async () => ({}) }));
    const id = await world.submit({ type: "echo", payload: { a: 1 } });
    await settled();
    assert.deepEqual((await world.read(id)).result, { echo: { a: 1 } });
  });

  it("calls a tool for both names of the type, and keeps pictures", async () => {
    const calls: unknown[] = [];
    const picture = { type: "image", data: "AA==", mimeType: "image/png" };
    const handlers = createHandlers({
      callTool: async (name, args, { onProgress }) => {
        calls.push([name, args]);
        onProgress(1, 2, "half");
        return { content: [{ type: "text", text: "{}" }, picture], structuredContent: { n: 1 } };
      },
    });
    world.start(handlers, { skills: () => ["tool:fs__read"] });
    const id = await world.submit({ type: "tool", payload: { tool: "", name: "fs__read", arguments: 7 } });
    await settled();
    const { result, progress } = await world.read(id);
    assert.deepEqual(calls, [["fs__read", { value: 7 }]]);
    assert.deepEqual(result, {
      tool: "fs__read",
      result: { n: 1 },
      content: [{ type: "text", text: "{}" }, picture],
    });
    assert.deepEqual(progress, { done: 1, total: 2, message: "half" });
  });

  it("does not claim calls of tools it does not have", async () => {
    world.start(createHandlers({ callTool: async () => ({}) }), { skills: () => ["tool:fs__read"] });
    const id = await world.submit({ type: "tool.call", payload: { tool: "db__query" } });
    await settled();
    assert.equal((await world.read(id)).state, "queued");
  });

  it("claims them once it has them", async () => {
    const skills: string[] = [];
    const worker = world.start(createHandlers({ callTool: async () => ({ content: [] }) }), {
      skills: () => skills,
    });
    const id = await world.submit({ type: "tool.call", payload: { tool: "db__query" } });
    await settled();
    skills.push("tool:db__query");
    worker.refresh();
    await settled(8);
    assert.equal((await world.read(id)).state, "completed");
  });

  it("fails a task for good by the caller's mistake, and tries again after any other failure", async () => {
    const errors: Record<string, Error> = {
      denied: new DeniedError("me", "admin"),
      failed: new ToolFailedError("on fire"),
    };
    const run: Handler["run"] = async ({ payload }) => {
      throw errors[String(payload["error"])] ?? new Error("unknown");
    };
    world.start([{ type: "t", aliases: [], run }]);
    const denied = await world.submit({ payload: { error: "denied" } });
    const failed = await world.submit({ payload: { error: "failed" } });
    await settled();
    assert.deepEqual(
      [(await world.read(denied)).state, (await world.read(denied)).error?.code],
      ["failed", "E_DENIED"],
    );
    assert.deepEqual(
      [(await world.read(failed)).state, (await world.read(failed)).error?.message],
      ["queued", "on fire"],
    );
  });

  it("fails a tool call with the code that the tool gave, and repeats only what it may", async () => {
    const answers: Record<string, ToolOutcome> = {
      wrong: failure("E_INVALID_INPUT", "invalid"),
      old: {
        isError: true,
        structuredContent: { ok: false, error: "away", error_code: "E_X", retryable: true },
      },
      away: failure("E_UNREACHABLE", "unavailable"),
      broken: { isError: true, content: [{ type: "text", text: "on fire" }] },
      defect: failure("E_INTERNAL", "internal"),
      reader: failure("E_INTERNAL", "internal"),
    };
    const calls: string[] = [];
    const handlers = createHandlers({
      callTool: async (name) => {
        calls.push(name);
        return answers[name] ?? {};
      },
      isRepeatable: (name) => name === "reader" || name === "wrong",
    });
    world.start(handlers, { skills: () => Object.keys(answers).map((name) => `tool:${name}`) });
    const ended = async (payload: JsonObject): Promise<unknown[]> => {
      const id = await world.submit({ type: "tool.call", payload });
      await settled(8);
      const { state, error } = await world.read(id);
      return [state, error?.code, error?.message];
    };
    assert.deepEqual(await ended({ tool: "wrong" }), [
      "failed",
      "E_INVALID_INPUT",
      "it says E_INVALID_INPUT",
    ]);
    assert.deepEqual(await ended({ tool: "broken" }), ["failed", "E_TOOL_FAILED", "on fire"]);
    assert.deepEqual(await ended({ tool: "broken", retry: true }), ["queued", "E_TOOL_FAILED", "on fire"]);
    assert.deepEqual(await ended({ tool: "old" }), ["queued", "E_X", "away"]);
    assert.deepEqual(await ended({ tool: "away" }), ["queued", "E_UNREACHABLE", "it says E_UNREACHABLE"]);
    assert.deepEqual(await ended({ tool: "defect" }), ["failed", "E_INTERNAL", "it says E_INTERNAL"]);
    assert.deepEqual(await ended({ tool: "reader" }), ["queued", "E_INTERNAL", "it says E_INTERNAL"]);
    assert.equal(calls.length, 7);
  });

  it("runs as many at once as it may, over all its sources", async () => {
    const { handler, started, finish } = controlled();
    const other = openMemoryStores();
    const second = world.openQueue(other);
    const worker = world.start([handler], {
      concurrency: 2,
      sources: [
        { name: "a", queue: world.queue },
        { name: "b", queue: second },
      ],
    });
    await settled();
    for (let i = 0; i < 3; i++) {
      await world.submit();
      await second.submit([{ type: "t", payload: {} }]);
    }
    await settled(10);
    assert.deepEqual([started.length, worker.running], [2, 2]);
    for (let i = 0; i < 6; i++) {
      finish();
      await settled(10);
    }
    assert.equal(started.length, 6);
    assert.equal(worker.stats().completed, 6);
  });

  it("serves all its queues in turn, and claims only what it runs", async () => {
    const { handler, started, finish } = controlled();
    const second = world.openQueue(openMemoryStores());
    for (let i = 0; i < 10; i++) {
      await world.submit({ payload: { from: "a" } });
      await second.submit([{ type: "t", payload: { from: "b" } }]);
    }
    const third: TaskQueue = {
      ...world.openQueue(openMemoryStores()),
      ready: () => Promise.reject(new MethodNotFoundError("task.ready")),
    };
    await third.submit([{ type: "t", payload: { from: "c" } }]);
    const worker = world.start([handler], {
      concurrency: 1,
      sources: [
        { name: "a", queue: world.queue },
        { name: "b", queue: second },
        { name: "c", queue: third },
      ],
    });
    for (let i = 0; i < 9; i++) {
      await settled(10);
      finish();
    }
    await settled(10);
    const from = started.map(({ payload }) => payload["from"]);
    assert.deepEqual([started.length, worker.running], [10, 1]);
    for (const [name, atLeast] of Object.entries({ a: 4, b: 4, c: 1 }))
      assert.ok(from.filter((one) => one === name).length >= atLeast, `${name}: ${from.join(" ")}`);
    const { claimed, released } = worker.stats();
    assert.deepEqual([claimed, released], [10, 0]);
  });

  it("keeps its lease as long as the work takes", async () => {
    const { handler, finish } = controlled();
    world.start([handler]);
    const id = await world.submit();
    await settled();
    for (let i = 0; i < 10; i++) {
      world.clock.jump(LEASE_MS / 3);
      await settled();
    }
    finish({ done: true });
    await settled();
    const { state, attempt, result } = await world.read(id);
    assert.deepEqual([state, attempt, result], ["completed", 1, { done: true }]);
  });

  it("sends progress that comes quickly as one", async () => {
    const notes: unknown[] = [];
    const counted: TaskQueue = {
      ...world.queue,
      note: (lease, note) => {
        notes.push(note.progress);
        return world.queue.note(lease, note);
      },
    };
    world.start([CHATTY], { sources: [{ name: "local", queue: counted }] });
    await world.submit();
    await settled();
    assert.deepEqual(notes, [{ i: 999 }]);
  });

  it("stops work whose task was cancelled, and delivers nothing", async () => {
    const { handler, stops } = controlled();
    const worker = world.start([handler]);
    const id = await world.submit();
    await settled();
    await world.queue.cancel(id, "nobody needs it");
    world.clock.jump(LEASE_MS / 3);
    await settled();
    assert.deepEqual([stops, worker.running, worker.stats().lost], [[id], 0, 1]);
    assert.equal((await world.read(id)).state, "cancelled");
  });

  it("stops it at once if the work has begun a while ago, whatever the lease", async () => {
    const { handler, stops } = controlled();
    const worker = world.start([handler], { leaseMs: 3_600_000 });
    const id = await world.submit();
    await settled();
    world.clock.jump(1000);
    await settled();
    await world.queue.cancel(id, "nobody needs it");
    await settled();
    assert.deepEqual([stops, worker.running, worker.stats().lost], [[id], 0, 1]);
  });

  it("goes on without such news where a queue cannot tell, and asks it once", async () => {
    const { handler, finish, stops } = controlled();
    let asked = 0;
    const mute: TaskQueue = {
      ...world.queue,
      lost: () => {
        asked++;
        return Promise.reject(new MethodNotFoundError("task.lost"));
      },
    };
    world.start([handler], { sources: [{ name: "local", queue: mute }] });
    const id = await world.submit();
    await settled();
    for (let i = 0; i < 10; i++) {
      world.clock.jump(LEASE_MS / 3);
      await settled();
    }
    finish();
    await settled();
    assert.deepEqual([asked, stops, (await world.read(id)).state], [1, [], "completed"]);
  });
});

describe("two workers on one queue", () => {
  it("have each task accepted once", async () => {
    const handlers = createHandlers({ callTool: async () => ({}) });
    const workers = [world.start(handlers, { workerId: "a" }), world.start(handlers, { workerId: "b" })];
    const receipts = await world.queue.submit(
      Array.from({ length: 100 }, (_, i) => ({ type: "echo", payload: { i } })),
    );
    for (let i = 0; i < 40; i++) await settled();
    const states = await Promise.all(receipts.map(async ({ taskId }) => (await world.read(taskId)).state));
    assert.deepEqual(new Set(states), new Set(["completed"]));
    assert.equal(
      workers.reduce((total, worker) => total + worker.stats().completed, 0),
      100,
    );
    assert.ok(workers.every((worker) => worker.stats().completed > 0));
  });

  it("take over from each other, and the one that was away is refused", async () => {
    const stale = controlled();
    const fresh = controlled();
    const first = world.startAway([stale.handler], { workerId: "stale" });
    const id = await world.submit();
    await settled();
    world.cut();
    world.start([fresh.handler], { workerId: "fresh" });
    await settled();
    world.clock.jump(LEASE_MS + 1000);
    await settled(10);
    assert.equal(fresh.started.length, 1);
    stale.finish({ from: "stale" });
    fresh.finish({ from: "fresh" });
    await settled(10);
    world.clock.jump(4000);
    await settled(10);
    world.mend();
    world.clock.jump(60_000);
    await settled(10);
    assert.deepEqual((await world.read(id)).result, { from: "fresh" });
    assert.deepEqual([first.stats().completed, (await world.outboxed("local")).length], [0, 0]);
  });
});
