/** Random operations against a model that is too simple to be wrong. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { hasCode } from "../../../src/errors.ts";
import type { Settlement, TaskStore } from "../../../src/task/store.ts";
import type { TaskState } from "../../../src/task/task.ts";
import { claimOf, draft, idsOf, only, type OpenStores } from "./fixtures.ts";

const MAX_ATTEMPTS = 2;
const LEASE_MS = 10;
const error = { code: "E_X", message: "", failureClass: "internal" };

interface ModelTask {
  readonly id: string;
  readonly lane: string;
  readonly priority: number;
  state: TaskState;
  attempt: number;
  token: number;
  settledToken: number;
  settledAs: string;
  /** Its last lease was neither given up nor taken away. */
  held: boolean;
  dueMs: number;
}

type Operation =
  | { readonly op: "insert"; readonly lane: string; readonly priority: number; readonly delay: number }
  | { readonly op: "claim"; readonly lanes: readonly string[]; readonly limit: number }
  | { readonly op: "renew"; readonly pick: number; readonly stale: boolean }
  | {
      readonly op: "settle";
      readonly pick: number;
      readonly stale: boolean;
      readonly kind: Settlement["kind"];
    }
  | { readonly op: "cancel"; readonly pick: number }
  | { readonly op: "wait"; readonly ms: number };

const lane = fc.constantFrom("a", "b", "c");
const pick = fc.nat(30);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ op: fc.constant("insert"), lane, priority: fc.integer({ min: 1, max: 3 }), delay: fc.nat(8) }),
  fc.record({
    op: fc.constant("claim"),
    lanes: fc.subarray(["a", "b", "c"]),
    limit: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ op: fc.constant("renew"), pick, stale: fc.boolean() }),
  fc.record({
    op: fc.constant("settle"),
    pick,
    stale: fc.boolean(),
    kind: fc.constantFrom("completed", "failed", "retried", "released"),
  }),
  fc.record({ op: fc.constant("cancel"), pick }),
  fc.record({ op: fc.constant("wait"), ms: fc.nat(12) }),
);

/** The rules of the queue over a plain array. */
class Model {
  readonly tasks: ModelTask[] = [];
  nowMs = 0;

  insert(name: string, priority: number, delay: number): ModelTask {
    const id = `t${this.tasks.length}`;
    const dueMs = this.nowMs + delay;
    const task: ModelTask = {
      id,
      lane: name,
      priority,
      state: "queued",
      attempt: 0,
      token: 0,
      settledToken: 0,
      settledAs: "",
      held: false,
      dueMs,
    };
    this.tasks.push(task);
    return task;
  }

  claim(lanes: readonly string[], limit: number): string[] {
    this.expire();
    const ready = this.tasks.filter(
      (task) => task.state === "queued" && task.dueMs <= this.nowMs && lanes.includes(task.lane),
    );
    const best = ready.toSorted((x, y) => y.priority - x.priority).slice(0, limit);
    for (const task of best) {
      Object.assign(task, { state: "running", attempt: task.attempt + 1, token: task.token + 1, held: true });
      task.dueMs = this.nowMs + LEASE_MS;
    }
    return best.map((task) => task.id);
  }

  expire(): void {
    for (const task of this.tasks) {
      if (task.state !== "running" || task.dueMs > this.nowMs) continue;
      task.state = task.attempt < MAX_ATTEMPTS ? "queued" : "failed";
    }
  }

  holds(task: ModelTask, token: number): boolean {
    return (task.state === "running" || task.state === "queued") && task.held && task.token === token;
  }

  /** @returns whether the lease was good */
  renew(task: ModelTask, token: number): boolean {
    if (!this.holds(task, token)) return false;
    task.state = "running";
    task.dueMs = this.nowMs + LEASE_MS;
    return true;
  }

  /** @returns whether the lease was good */
  settle(task: ModelTask, token: number, kind: Settlement["kind"]): boolean {
    const final = kind === "completed" || kind === "failed";
    if (final && token > 0 && task.settledToken === token) return task.settledAs === kind;
    if (!this.holds(task, token)) return false;
    if (kind !== "completed" && (task.state !== "running" || task.dueMs <= this.nowMs)) return false;
    if (!final) task.held = false;
    task.state = kind === "completed" || kind === "failed" ? kind : "queued";
    if (final) Object.assign(task, { settledToken: token, settledAs: kind });
    if (kind === "released") task.attempt -= 1;
    task.dueMs = kind === "retried" ? this.nowMs + 3 : this.nowMs;
    return true;
  }
}

export function modelConformance(open: OpenStores): void {
  describe("any sequence of operations", () => {
    it("leaves the tasks that the rules of the queue say", async () => {
      const sequences = fc.array(operation, { minLength: 5, maxLength: 40 });
      await fc.assert(
        fc.asyncProperty(sequences, async (operations) => {
          await using stores = await open();
          const model = new Model();
          for (const one of operations) await step(stores.tasks, model, one);
          await compare(stores.tasks, model);
        }),
        { numRuns: 60, seed: 20_260_101 },
      );
    });
  });
}

async function step(tasks: TaskStore, model: Model, one: Operation): Promise<void> {
  const { nowMs } = model;
  if (one.op === "wait") {
    model.nowMs += one.ms;
    return;
  }
  if (one.op === "insert") {
    const { id } = model.insert(one.lane, one.priority, one.delay);
    const parts = { lane: one.lane, priority: one.priority, maxAttempts: MAX_ATTEMPTS };
    await tasks.insert([draft(id, { ...parts, notBeforeMs: nowMs + one.delay })], nowMs);
    return;
  }
  if (one.op === "claim") {
    const claims = await tasks.claim(
      claimOf({ ...only(...one.lanes), limit: one.limit, leaseUntilMs: nowMs + LEASE_MS }),
      nowMs,
    );
    assert.deepEqual(idsOf(claims), model.claim(one.lanes, one.limit));
    return;
  }
  const task = model.tasks[one.pick % Math.max(1, model.tasks.length)];
  if (!task) return;
  if (one.op === "cancel") {
    const good = task.state === "queued" || task.state === "running";
    if (good) task.state = "cancelled";
    assert.equal(await succeeds(tasks.cancel(task.id, "", nowMs), "E_TASK_FINISHED"), good);
    return;
  }
  const token = task.token - (one.stale ? 1 : 0);
  const lease = { taskId: task.id, token, holder: "h" };
  if (one.op === "renew") {
    const good = model.renew(task, token);
    assert.equal(await succeeds(tasks.renew(lease, nowMs + LEASE_MS, nowMs), "E_LEASE_LOST"), good);
    return;
  }
  const good = model.settle(task, token, one.kind);
  assert.equal(
    await succeeds(
      tasks.settle(lease, settlement(one.kind, nowMs), nowMs),
      "E_LEASE_LOST",
      "E_TASK_FINISHED",
    ),
    good,
  );
}

async function compare(tasks: TaskStore, model: Model): Promise<void> {
  await tasks.settleDue(model.nowMs);
  model.expire();
  const { tasks: listed } = await tasks.list({ limit: 100 });
  assert.deepEqual(
    listed.map(({ id, state, attempt }) => ({ id, state, attempt })),
    model.tasks.map(({ id, state, attempt }) => ({ id, state, attempt })),
  );
  const { byState, ready } = await tasks.stats(model.nowMs);
  const count = (state: TaskState): number => model.tasks.filter((task) => task.state === state).length;
  for (const state of ["queued", "running", "completed", "failed", "cancelled"] as const) {
    assert.equal(byState[state], count(state), state);
  }
  const claimable = model.tasks.filter((task) => task.state === "queued" && task.dueMs <= model.nowMs);
  assert.equal(ready, claimable.length);
}

function settlement(kind: Settlement["kind"], nowMs: number): Settlement {
  if (kind === "completed") return { kind, result: {} };
  if (kind === "failed") return { kind, error, deadLetter: false };
  if (kind === "retried") return { kind, error, notBeforeMs: nowMs + 3 };
  return { kind, reason: "" };
}

async function succeeds(call: Promise<void>, ...codes: string[]): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (thrown) {
    if (codes.some((code) => hasCode(thrown, code))) return false;
    throw thrown;
  }
}
