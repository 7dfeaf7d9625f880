/** Which worker gets a task that not every worker can do, on any engine. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Stores } from "../../src/store/index.ts";
import type { TaskQueue } from "../../src/task/queue.ts";
import { SESSION_MEMORY_MS, SESSION_PATIENCE_MS } from "../../src/task/sessions.ts";
import type { NewTask } from "../../src/task/task.ts";
import { TestClock } from "../support/clock.ts";
import { type Bench, submitOne, withQueue } from "./bench.ts";

const TYPES = ["echo", "text-generation", "chat"];
const WHOLE_SECOND_MS = 1000;

/** What a worker of this name, with these models, gets now; ends what it got. */
async function take(queue: TaskQueue, worker: string, models: readonly string[] = []): Promise<string[]> {
  const skills = [`worker:${worker}`, ...models.map((model) => `model:${model}`)];
  const claims = await queue.claim({ workerId: worker, types: TYPES, skills, limit: 10 });
  for (const { lease } of claims) await queue.complete(lease, {});
  return claims.map(({ task }) => task.id);
}

function chat(session: string, more: Partial<NewTask> = {}): Partial<NewTask> {
  return { type: "chat", payload: { messages: [], session_id: session }, ...more };
}

/** Declares the suite over the stores that `open` gives. */
export function describeMatching(name: string, open: () => Promise<Stores>): void {
  const bench = async (test: (bench: Bench) => Promise<void>): Promise<void> => {
    const stores = await open();
    try {
      await withQueue(test, { store: stores.tasks, clock: new TestClock() });
    } finally {
      await stores.close();
    }
  };
  describe(`${name}: a task that needs a model`, () => needingModel(bench));
  describe(`${name}: a task for one worker`, () => pinned(bench));
  describe(`${name}: a task of a session`, () => ofSession(bench));
  it(`${name}: a task of a session that a process left behind goes to any, when its worker's turn is over`, async () => {
    const stores = await open();
    const clock = new TestClock();
    try {
      const ids: string[] = [];
      await withQueue(
        async ({ queue }) => {
          await submitOne(queue, chat("s", { modelName: "m" }));
          await take(queue, "a", ["m"]);
          for (let i = 0; i < 30; i++) ids.push(await submitOne(queue, chat("s", { modelName: "m" })));
        },
        { store: stores.tasks, clock },
      );
      await withQueue(
        async ({ queue }) => {
          assert.deepEqual(await take(queue, "b", ["m"]), []);
          clock.jump(SESSION_PATIENCE_MS + WHOLE_SECOND_MS);
          assert.equal(await queue.ready({ types: TYPES, skills: ["model:m"] }), true);
          const got = [await take(queue, "b", ["m"]), await take(queue, "b", ["m"])];
          assert.deepEqual([...got.flat(), ...(await take(queue, "b", ["m"]))], ids);
        },
        { store: stores.tasks, clock },
      );
    } finally {
      await stores.close();
    }
  });
}

type Run = (test: (bench: Bench) => Promise<void>) => Promise<void>;

function needingModel(bench: Run): void {
  it("goes only to a worker that has the model, wherever the task names it", () =>
    bench(async ({ queue }) => {
      const named = await submitOne(queue, { type: "generation", modelName: "llama3", payload: {} });
      const inside = await submitOne(queue, { type: "chat", payload: { model_name: "llama3" } });
      assert.deepEqual(await take(queue, "a", ["mistral"]), []);
      assert.deepEqual(await take(queue, "b", ["mistral", "llama3"]), [named, inside]);
    }));

  it("goes to any worker of the type if it names no model", () =>
    bench(async ({ queue }) => {
      const id = await submitOne(queue, { type: "text-generation", payload: { prompt: "hi" } });
      assert.deepEqual(await take(queue, "a", ["mistral"]), [id]);
    }));

  it("goes to whoever claims the type and asks for no match", () =>
    bench(async ({ queue }) => {
      const id = await submitOne(queue, { type: "text-generation", modelName: "gpt2" });
      const other = await submitOne(queue, { type: "text-generation", modelName: "llama3" });
      const claims = await queue.claim({ workerId: "old", types: ["text_generation"], limit: 5 });
      assert.deepEqual(
        claims.map(({ task }) => task.id),
        [id, other],
      );
    }));

  it("keeps the order of priorities among all models that the worker has", () =>
    bench(async ({ queue }) => {
      const late = await submitOne(queue, { type: "chat", modelName: "b", priority: 3 });
      const first = await submitOne(queue, { type: "chat", modelName: "a", priority: 9 });
      const plain = await submitOne(queue, { priority: 5 });
      assert.deepEqual(await take(queue, "w", ["a", "b"]), [first, plain, late]);
    }));
}

function pinned(bench: Run): void {
  it("goes to that worker alone, with skills and without", () =>
    bench(async ({ queue }) => {
      const submit = (): Promise<string> => submitOne(queue, { payload: { sticky_worker_id: "b" } });
      const first = await submit();
      assert.deepEqual(await take(queue, "a"), []);
      assert.deepEqual(await queue.claim({ workerId: "old" }), []);
      assert.deepEqual(await queue.claim({ workerId: "old", types: ["echo"] }), []);
      assert.deepEqual(await take(queue, "b"), [first]);
      const second = await submit();
      const [claimed] = await queue.claim({ workerId: "b" });
      assert.equal(claimed?.task.id, second);
    }));

  it("does not come out of a type that is made to look like such a lane", () =>
    bench(async ({ queue }) => {
      await submitOne(queue, { type: "\u001fworker:b\u001fecho" });
      assert.deepEqual(await take(queue, "b"), []);
    }));
}

function ofSession(bench: Run): void {
  it("waits a while for the worker that served the session last, and then goes to any", () =>
    bench(async ({ queue, clock }) => {
      await submitOne(queue, chat("s"));
      await take(queue, "a", ["m"]);
      const second = await submitOne(queue, chat("s", { modelName: "m" }));
      assert.deepEqual(await take(queue, "b", ["m"]), []);
      assert.equal(await queue.ready({ types: TYPES, skills: ["worker:b", "model:m"] }), false);
      clock.jump(SESSION_PATIENCE_MS + WHOLE_SECOND_MS);
      assert.deepEqual(await take(queue, "b", ["other"]), [], "patience is over, the model is still needed");
      assert.deepEqual(await take(queue, "b", ["m"]), [second]);
      const third = await submitOne(queue, chat("s"));
      assert.deepEqual(await take(queue, "a", ["m"]), []);
      assert.deepEqual(await take(queue, "b", ["m"]), [third]);
    }));

  it("wakes the session's worker at once, and the others when its turn is over", () =>
    bench(async ({ queue, clock, nursery }) => {
      await submitOne(queue, chat("s"));
      await take(queue, "a");
      const look = (worker: string): Promise<boolean> =>
        nursery.run(() => queue.ready({ types: TYPES, skills: [`worker:${worker}`], waitMs: 20_000 }));
      let othersWoken = false;
      const others = look("b").then((found) => (othersWoken = found));
      const own = look("a");
      await new Promise((resolve) => setImmediate(resolve));
      const id = await submitOne(queue, chat("s"));
      assert.equal(await own, true);
      assert.equal(othersWoken, false);
      clock.jump(SESSION_PATIENCE_MS + WHOLE_SECOND_MS);
      assert.equal(await others, true);
      assert.deepEqual(await take(queue, "b"), [id]);
    }));

  it("goes to whoever asks for no match, at once", () =>
    bench(async ({ queue }) => {
      await submitOne(queue, chat("s"));
      await take(queue, "a");
      const id = await submitOne(queue, chat("s"));
      const [claimed] = await queue.claim({ workerId: "old", types: ["chat"] });
      assert.equal(claimed?.task.id, id);
    }));

  it("comes back to everybody when it is handed back", () =>
    bench(async ({ queue, clock }) => {
      await submitOne(queue, chat("s"));
      await take(queue, "a");
      const id = await submitOne(queue, chat("s"));
      const [claimed] = await queue.claim({ workerId: "a", types: TYPES, skills: [] });
      assert.ok(claimed, "the name under which it claims is enough");
      await queue.release(claimed.lease, "not now");
      clock.jump(SESSION_PATIENCE_MS + WHOLE_SECOND_MS);
      assert.deepEqual(await take(queue, "b"), [id]);
    }));

  it("is anybody's when the session was quiet for long", () =>
    bench(async ({ queue, clock }) => {
      await submitOne(queue, chat("s"));
      await take(queue, "a");
      clock.jump(SESSION_MEMORY_MS + 1);
      const id = await submitOne(queue, chat("s"));
      assert.deepEqual(await take(queue, "b"), [id]);
    }));
}
