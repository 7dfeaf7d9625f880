/** The worker with a real queue: what it runs, how often, and what becomes of it when something goes away. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { DeniedError, ToolFailedError, UnreachableError } from "../../src/errors.ts";
import { silentLogger } from "../../src/logger.ts";
import { type NurseryHost, openHost, sleepForever } from "../../src/nursery/index.ts";
import { openMemoryStores, type Stores } from "../../src/store/index.ts";
import { openLocalQueue } from "../../src/task/local.ts";
import type { TaskQueue } from "../../src/task/queue.ts";
import type { NewTask, Task } from "../../src/task/task.ts";
import { createHandlers, type Handler, startWorker, type Worker, type WorkerOptions } from "../../src/worker/index.ts";
import { settled, TestClock } from "../support/clock.ts";

const LEASE_MS = 9000;

let clock: TestClock;
let host: NurseryHost;
let stores: Stores;
let queue: TaskQueue;
/** Whether the queue can be reached; claims that wait there break when it cannot. */
let line: { up: boolean };
let cutoff: AbortController;

beforeEach(() => {
  clock = new TestClock();
  host = openHost({ clock });
  stores = openMemoryStores();
  queue = openLocalQueue({ store: stores.tasks, nursery: host.nursery, clock, random: () => 0.5 }).queue;
  line = { up: true };
  cutoff = new AbortController();
});
afterEach(async () => {
  await host.close();
  await stores.close();
});

/** The queue behind a line that can be cut, as a peer's is. */
function behindLine(inner: TaskQueue): TaskQueue {
  const pass = async <T>(call: (signal: AbortSignal) => Promise<T>, given?: AbortSignal): Promise<T> => {
    const away = (): UnreachableError => new UnreachableError("the peer is away");
    if (!line.up) throw away();
    try {
      return await call(given ? AbortSignal.any([given, cutoff.signal]) : cutoff.signal);
    } catch (error) {
      throw line.up ? error : away();
    }
  };
  return {
    ...inner,
    claim: (request, options) => pass((signal) => inner.claim(request, { signal }), options?.signal),
    renew: (lease, leaseMs) => pass(() => inner.renew(lease, leaseMs)),
    note: (lease, note) => pass(() => inner.note(lease, note)),
    complete: (lease, result) => pass(() => inner.complete(lease, result)),
    fail: (lease, failure) => pass(() => inner.fail(lease, failure)),
    release: (lease, reason) => pass(() => inner.release(lease, reason)),
  };
}

function cut(): void {
  line.up = false;
  cutoff.abort();
}

function mend(): void {
  line.up = true;
  cutoff = new AbortController();
}

/** A handler of type `t` whose end the test decides. */
function controlled(): { readonly handler: Handler; readonly started: Task[]; finish: (result?: object) => void; stops: string[] } {
  const started: Task[] = [];
  const stops: string[] = [];
  const gates: PromiseWithResolvers<Record<string, unknown>>[] = [];
  const handler: Handler = {
    type: "t",
    aliases: [],
    async run(task, { signal }) {
      started.push(task);
      const gate = Promise.withResolvers<Record<string, unknown>>();
      gates.push(gate);
      signal.addEventListener("abort", () => {
        stops.push(task.id);
        gate.reject(signal.reason);
      });
      return gate.promise;
    },
  };
  return { handler, started, stops, finish: (result = {}) => gates.shift()?.resolve({ ...result }) };
}

function start(handlers: readonly Handler[], more: Partial<WorkerOptions> = {}): Worker {
  return startWorker({
    nursery: host.nursery,
    clock,
    logger: silentLogger,
    workerId: "w",
    sources: [{ name: "local", queue }],
    handlers,
    skills: () => [],
    concurrency: 4,
    leaseMs: LEASE_MS,
    outbox: stores.outbox,
    outboxQueue: () => queue,
    random: () => 0.5,
    ...more,
  });
}

async function submit(task: Partial<NewTask> = {}): Promise<string> {
  const [receipt] = await queue.submit([{ type: "t", payload: {}, ...task }]);
  assert.ok(receipt);
  return receipt.taskId;
}

async function task(id: string): Promise<Task> {
  const found = await queue.get(id);
  assert.ok(found);
  return found;
}

describe("a worker", () => {
  it("runs what is submitted and gives the result", async () => {
    start(createHandlers({ callTool: async () => ({}) }));
    const id = await submit({ type: "echo", payload: { a: 1 } });
    await settled();
    assert.deepEqual((await task(id)).result, { echo: { a: 1 } });
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
    start(handlers, { skills: () => ["tool:fs__read"] });
    const id = await submit({ type: "tool", payload: { tool: "", name: "fs__read", arguments: 7 } });
    await settled();
    const { result, progress } = await task(id);
    assert.deepEqual(calls, [["fs__read", { value: 7 }]]);
    assert.deepEqual(result, { tool: "fs__read", result: { n: 1 }, content: [{ type: "text", text: "{}" }, picture] });
    assert.deepEqual(progress, { done: 1, total: 2, message: "half" });
  });

  it("does not claim calls of tools it does not have", async () => {
    start(createHandlers({ callTool: async () => ({}) }), { skills: () => ["tool:fs__read"] });
    const id = await submit({ type: "tool.call", payload: { tool: "db__query" } });
    await settled();
    assert.equal((await task(id)).state, "queued");
  });

  it("claims them once it has them", async () => {
    const skills: string[] = [];
    const worker = start(createHandlers({ callTool: async () => ({ content: [] }) }), { skills: () => skills });
    const id = await submit({ type: "tool.call", payload: { tool: "db__query" } });
    await settled();
    skills.push("tool:db__query");
    worker.refresh();
    await settled(8);
    assert.equal((await task(id)).state, "completed");
  });

  it("fails a task for good by the caller's mistake, and tries again after any other failure", async () => {
    const errors: Record<string, Error> = { denied: new DeniedError("me", "admin"), failed: new ToolFailedError("on fire") };
    const run: Handler["run"] = async ({ payload }) => {
      throw errors[String(payload["error"])] ?? new Error("unknown");
    };
    start([{ type: "t", aliases: [], run }]);
    const denied = await submit({ payload: { error: "denied" } });
    const failed = await submit({ payload: { error: "failed" } });
    await settled();
    assert.deepEqual([(await task(denied)).state, (await task(denied)).error?.code], ["failed", "E_DENIED"]);
    assert.deepEqual([(await task(failed)).state, (await task(failed)).error?.message], ["queued", "on fire"]);
  });

  it("runs as many at once as it may, over all its sources", async () => {
    const { handler, started, finish } = controlled();
    const other = openMemoryStores();
    const second = openLocalQueue({ store: other.tasks, nursery: host.nursery, clock }).queue;
    const worker = start([handler], { concurrency: 2, sources: [{ name: "a", queue }, { name: "b", queue: second }] });
    await settled();
    for (let i = 0; i < 3; i++) {
      await submit();
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

  it("keeps its lease as long as the work takes", async () => {
    const { handler, finish } = controlled();
    start([handler]);
    const id = await submit();
    await settled();
    for (let i = 0; i < 10; i++) {
      clock.jump(LEASE_MS / 3);
      await settled();
    }
    finish({ done: true });
    await settled();
    const { state, attempt, result } = await task(id);
    assert.deepEqual([state, attempt, result], ["completed", 1, { done: true }]);
  });

  it("sends progress that comes quickly as one", async () => {
    const notes: unknown[] = [];
    const counted: TaskQueue = {
      ...queue,
      note: (lease, note) => {
        notes.push(note.progress);
        return queue.note(lease, note);
      },
    };
    const run: Handler["run"] = async (_task, { progress }) => {
      for (let i = 0; i < 1000; i++) progress({ i });
      await sleepForever();
      return {};
    };
    start([{ type: "t", aliases: [], run }], { sources: [{ name: "local", queue: counted }] });
    await submit();
    await settled();
    assert.deepEqual(notes, [{ i: 999 }]);
  });

  it("stops work whose task was cancelled, and delivers nothing", async () => {
    const { handler, stops } = controlled();
    const worker = start([handler]);
    const id = await submit();
    await settled();
    await queue.cancel(id, "nobody needs it");
    clock.jump(LEASE_MS / 3);
    await settled();
    assert.deepEqual([stops, worker.running, worker.stats().lost], [[id], 0, 1]);
    assert.equal((await task(id)).state, "cancelled");
  });
});

describe("two workers on one queue", () => {
  it("have each task accepted once", async () => {
    const handlers = createHandlers({ callTool: async () => ({}) });
    const workers = [start(handlers, { workerId: "a" }), start(handlers, { workerId: "b" })];
    const receipts = await queue.submit(Array.from({ length: 100 }, (_, i) => ({ type: "echo", payload: { i } })));
    for (let i = 0; i < 40; i++) await settled();
    const states = await Promise.all(receipts.map(async ({ taskId }) => (await task(taskId)).state));
    assert.deepEqual(new Set(states), new Set(["completed"]));
    assert.equal(workers.reduce((total, worker) => total + worker.stats().completed, 0), 100);
    assert.ok(workers.every((worker) => worker.stats().completed > 0));
  });

  it("take over from each other, and the one that was away is refused", async () => {
    const stale = controlled();
    const fresh = controlled();
    const away = behindLine(queue);
    const first = start([stale.handler], { workerId: "stale", sources: [{ name: "peer", queue: away }], outboxQueue: () => away });
    const id = await submit();
    await settled();
    cut();
    start([fresh.handler], { workerId: "fresh" });
    await settled();
    clock.jump(LEASE_MS + 1000);
    await settled(10);
    assert.equal(fresh.started.length, 1);
    stale.finish({ from: "stale" });
    fresh.finish({ from: "fresh" });
    await settled(10);
    clock.jump(4000);
    await settled(10);
    mend();
    clock.jump(60_000);
    await settled(10);
    assert.deepEqual((await task(id)).result, { from: "fresh" });
    assert.deepEqual([first.stats().completed, (await stores.outbox.list(10)).length], [0, 0]);
  });
});

describe("a result", () => {
  it("waits in the outbox while its queue is away, and is delivered when it is back", async () => {
    const { handler, finish } = controlled();
    const away = behindLine(queue);
    const worker = start([handler], { sources: [{ name: "peer", queue: away }], outboxQueue: () => away, leaseMs: 600_000 });
    const id = await submit();
    await settled();
    cut();
    finish({ kept: true });
    await settled();
    clock.jump(4000);
    await settled(8);
    assert.equal((await stores.outbox.list(10)).length, 1);
    assert.deepEqual([worker.running, worker.stats().outboxed], [0, 1]);
    mend();
    clock.jump(20_000);
    await settled(8);
    assert.deepEqual([(await task(id)).result, (await stores.outbox.list(10)).length], [{ kept: true }, 0]);
    assert.equal(worker.stats().delivered, 1);
  });

  it("of an earlier process is delivered by the next", async () => {
    const id = await submit();
    const [claimed] = await queue.claim({ workerId: "gone", limit: 1 });
    assert.ok(claimed);
    const outcome = { kind: "completed", result: { from: "before" } } as const;
    await stores.outbox.put({ queue: "local", lease: claimed.lease, outcome, createdAtMs: clock.epochMs() });
    start([]);
    await settled(8);
    assert.deepEqual((await task(id)).result, { from: "before" });
  });

  it("that the queue will never take fails the task, with the reason", async () => {
    const run: Handler["run"] = async () => ({ big: "x".repeat(17 * 1024 * 1024) });
    start([{ type: "t", aliases: [], run }]);
    const id = await submit();
    await settled(8);
    const { state, error } = await task(id);
    assert.deepEqual([state, error?.message.startsWith("the result was refused")], ["failed", true]);
  });
});

describe("draining", () => {
  it("lets work finish in time, and claims nothing more", async () => {
    const { handler, finish, started } = controlled();
    const worker = start([handler]);
    const first = await submit();
    await settled();
    const drained = worker.drain(10_000);
    await settled();
    const second = await submit();
    await settled();
    finish({ in: "time" });
    await drained;
    assert.deepEqual([(await task(first)).state, (await task(second)).state], ["completed", "queued"]);
    assert.equal(started.length, 1);
  });

  it("hands back what does not finish in time, without counting the attempt", async () => {
    const { handler, stops } = controlled();
    const worker = start([handler]);
    const id = await submit();
    await settled();
    const drained = worker.drain(10_000);
    await settled();
    clock.jump(10_000);
    await drained;
    const { state, attempt } = await task(id);
    assert.deepEqual([state, attempt, stops], ["queued", 0, [id]]);
    assert.equal(worker.stats().released, 1);
    await worker.drain(0);
  });

  it("hands back even if a handler does not listen", async () => {
    const never = new Promise<Record<string, unknown>>(() => undefined);
    const worker = start([{ type: "t", aliases: [], run: () => never }]);
    const id = await submit();
    await settled();
    await worker.drain(0);
    assert.equal((await task(id)).state, "queued");
  });

  it("happens by itself when the nursery is cancelled", async () => {
    const { handler } = controlled();
    const own = openHost({ clock });
    start([handler], { nursery: own.nursery });
    const id = await submit();
    await settled();
    await own.close();
    assert.equal((await task(id)).state, "queued");
  });

  it("puts a result away that cannot be delivered any more", async () => {
    const { handler, finish } = controlled();
    const away = behindLine(queue);
    const worker = start([handler], { sources: [{ name: "peer", queue: away }], outboxQueue: () => away });
    await submit();
    await settled();
    cut();
    const drained = worker.drain(10_000);
    await settled();
    finish({ late: true });
    await drained;
    const waiting = await stores.outbox.list(10);
    assert.deepEqual(waiting.map(({ queue: name, outcome }) => [name, outcome]), [["peer", { kind: "completed", result: { late: true } }]]);
  });
});
