/** What can happen to a queue, each thing to the model and to the real one. */
import assert from "node:assert/strict";
import type * as fc from "fast-check";
import { errorFacts, hasCode } from "../../src/errors.ts";
import type { TaskQueue } from "../../src/task/queue.ts";
import type { TaskState } from "../../src/task/task.ts";
import { MAX_ATTEMPTS, type Model, type ModelLease, type ModelTask } from "./model.ts";

/** The real queue, which a crash replaces. */
export interface Real {
  readonly queue: TaskQueue;
  /** Lets time pass; what falls due has happened when it resolves. */
  pass(ms: number): Promise<void>;
  /** Kills the queue at this instant and opens what is left of it. Undefined where nothing is left. */
  readonly crash: (() => Promise<void>) | undefined;
}

type Step = fc.AsyncCommand<Model, Real>;

const LEASE_MS = 1000;
const ERROR = { code: "E_X", message: "no", failureClass: "internal" };

/** A command from what it does; `describe` is what a failed run shows. */
function step(describe: string, run: (model: Model, real: Real) => Promise<void>): Step {
  return { check: () => true, run, toString: () => describe };
}

function pick<T>(list: readonly T[], which: number): T | undefined {
  return list[which % Math.max(1, list.length)];
}

/** A task that the queue does not have yet. */
interface Fresh {
  readonly type: string;
  readonly priority: number;
  readonly delayMs: number;
}

function draftOf({ type, priority, delayMs }: Fresh, key: string): Parameters<TaskQueue["submit"]>[0] {
  return [{ type, priority, delayMs, maxAttempts: MAX_ATTEMPTS, idempotencyKey: key, payload: { key } }];
}

function added(model: Model, { type, priority, delayMs }: Fresh, id: string, key: string): void {
  const dueMs = model.nowMs + delayMs;
  const common = { state: "queued" as const, dead: false, attempt: 0, token: 0, lapsed: false };
  model.tasks.push({ id, key, type, priority, dueMs, ...common });
}

/** Submits a new task. */
export function submit(fresh: Fresh): Step {
  return step(`submit(${JSON.stringify(fresh)})`, async (model, { queue }) => {
    const key = `k${model.keys++}`;
    const [receipt] = await queue.submit(draftOf(fresh, key));
    assert.equal(receipt?.created, true);
    added(model, fresh, receipt?.taskId ?? "", key);
  });
}

/** Submits what was submitted before. */
export function resubmit(which: number): Step {
  return step(`resubmit(${which})`, async (model, { queue }) => {
    const task = pick(model.tasks, which);
    if (!task) return;
    const { type, key, id } = task;
    const again = { type, maxAttempts: MAX_ATTEMPTS, idempotencyKey: key, payload: { key } };
    const outcome = await queue.submit([again]).catch((error: unknown) => error);
    // Priority and delay are part of the work or are not; either way there is no second task.
    if (Array.isArray(outcome)) assert.deepEqual(outcome, [{ taskId: id, created: false }]);
    else assert.ok(hasCode(outcome, "E_IDEMPOTENCY_CONFLICT"), String(outcome));
  });
}

/** Kills the queue while it takes a task, and submits the same again, as a client would that got no answer. */
export function crashInSubmit(fresh: Fresh): Step {
  return step(`crashInSubmit(${JSON.stringify(fresh)})`, async (model, real) => {
    if (!real.crash) return;
    const key = `k${model.keys++}`;
    const lost = real.queue.submit(draftOf(fresh, key)).catch((error: unknown) => error);
    await real.crash();
    await lost;
    const [receipt] = await real.queue.submit(draftOf(fresh, key));
    added(model, fresh, receipt?.taskId ?? "", key);
    const [again] = await real.queue.submit(draftOf(fresh, key));
    assert.deepEqual(again, { taskId: receipt?.taskId, created: false });
  });
}

/** Claims what is ready. */
export function claim(types: readonly string[], limit: number): Step {
  return step(`claim(${types.join()}, ${limit})`, async (model, { queue }) => {
    const claimed = await queue.claim({ workerId: "w", types, limit, leaseMs: LEASE_MS });
    // No types means any.
    const wanted = types.length > 0 ? types : ["a", "b", "c"];
    const expected = model.ready(wanted).slice(0, limit);
    assert.deepEqual(
      claimed.map(({ task }) => [task.id, task.payload["key"]]),
      expected.map(({ id, key }) => [id, key]),
    );
    for (const task of expected) model.lease(task, LEASE_MS);
    assert.deepEqual(
      claimed.map(({ lease }) => lease.token),
      expected.map(({ token }) => token),
    );
  });
}

/** Acts under a lease that somebody has, or had; whether it counts, the model knows. */
function underLease(
  name: string,
  which: number,
  act: (queue: TaskQueue, lease: { taskId: string; token: number }) => Promise<unknown>,
  expected: (model: Model, lease: ModelLease) => boolean,
): Step {
  return step(`${name}(${which})`, async (model, { queue }) => {
    const lease = pick(model.leases, which);
    if (!lease) return;
    const { task, token } = lease;
    const outcome = await act(queue, { taskId: task.id, token }).then(
      () => true,
      (error: unknown) => {
        const code = lease.settledAs ? /^E_(LEASE_LOST|TASK_FINISHED)$/ : /^E_LEASE_LOST$/;
        assert.match(errorFacts(error).code, code, String(error));
        return false;
      },
    );
    assert.equal(outcome, expected(model, lease), `${name} under token ${token} of ${task.id}`);
  });
}

function ended(model: Model, lease: ModelLease, end: (task: ModelTask) => void): boolean {
  if (!model.isHeld(lease)) return false;
  end(lease.task);
  return true;
}

/** Renews a lease. */
export function renew(which: number): Step {
  return underLease(
    "renew",
    which,
    (queue, lease) => queue.renew(lease, LEASE_MS),
    (model, lease) => {
      if (!model.stillCounts(lease)) return false;
      Object.assign(lease.task, { state: "running", lapsed: false, dueMs: model.nowMs + LEASE_MS });
      return true;
    },
  );
}

/** Completes a task. */
export function complete(which: number): Step {
  return underLease(
    "complete",
    which,
    (queue, lease) => queue.complete(lease, { token: lease.token }),
    completed,
  );
}

function completed(model: Model, lease: ModelLease): boolean {
  if (lease.settledAs) return lease.settledAs === "completed";
  if (!model.stillCounts(lease)) return false;
  lease.task.state = "completed";
  lease.settledAs = "completed";
  return true;
}

/** Fails a task, for good or to be tried again. */
export function fail(which: number, retry: boolean): Step {
  return underLease(
    retry ? "retry" : "fail",
    which,
    (queue, lease) => queue.fail(lease, { error: ERROR, retry, retryAfterMs: 500 }),
    (model, lease) => {
      // Repeating the failure is harmless; asking for another attempt after it, or for another end, is not the same.
      if (lease.settledAs)
        return lease.settledAs === "failed" && (!retry || lease.task.attempt >= MAX_ATTEMPTS);
      return ended(model, lease, (task) => {
        if (retry && task.attempt < MAX_ATTEMPTS)
          Object.assign(task, { state: "queued", dueMs: model.nowMs + 500 });
        else {
          Object.assign(task, { state: "failed", dead: retry });
          lease.settledAs = "failed";
        }
      });
    },
  );
}

/** Hands a task back. */
export function release(which: number): Step {
  return underLease(
    "release",
    which,
    (queue, lease) => queue.release(lease, ""),
    (model, lease) =>
      ended(model, lease, (task) => {
        Object.assign(task, { state: "queued", attempt: task.attempt - 1, dueMs: model.nowMs });
      }),
  );
}

/** Cancels a task. */
export function cancel(which: number): Step {
  return step(`cancel(${which})`, async (model, { queue }) => {
    const task = pick(model.tasks, which);
    if (!task) return;
    const live = task.state === "queued" || task.state === "running";
    const outcome = await queue.cancel(task.id, "").catch((error: unknown) => error);
    assert.equal(live ? outcome : hasCode(outcome, "E_TASK_FINISHED"), live ? undefined : true);
    if (live) task.state = "cancelled";
  });
}

/** Lets time pass. */
export function pass(ms: number): Step {
  return step(`pass(${ms})`, async (model, real) => {
    model.nowMs += ms;
    await real.pass(ms);
    model.expire();
  });
}

/** Kills the queue between two operations, and compares all that is there with all that was acknowledged. */
export function crash(): Step {
  return step("crash()", async (model, real) => {
    await real.crash?.();
    await compare(model, real.queue);
  });
}

/** Kills the queue while it takes a result, and offers the result again, as a worker would that got no answer. */
export function crashInComplete(which: number): Step {
  return step(`crashInComplete(${which})`, async (model, real) => {
    const lease = pick(model.leases, which);
    if (!real.crash || !lease) return;
    const wire = { taskId: lease.task.id, token: lease.token };
    const lost = real.queue.complete(wire, { token: lease.token }).catch((error: unknown) => error);
    await real.crash();
    await lost;
    const outcome = await real.queue.complete(wire, { token: lease.token }).then(
      () => true,
      (error: unknown) => !/^E_(LEASE_LOST|TASK_FINISHED)$/.test(errorFacts(error).code),
    );
    assert.equal(outcome, completed(model, lease));
  });
}

/** Everything that the queue shows must be what the model has. */
export async function compare(model: Model, queue: TaskQueue): Promise<void> {
  const { tasks } = await queue.list({ limit: 1000 });
  assert.deepEqual(
    tasks.map(({ id, state, attempt, deadLetter }) => ({ id, state, attempt, deadLetter })),
    model.tasks.map(({ id, state, attempt, dead }) => ({ id, state, attempt, deadLetter: dead })),
  );
  const { byState, deadLetters } = await queue.stats();
  for (const state of ["queued", "running", "completed", "failed", "cancelled"] satisfies TaskState[]) {
    assert.equal(byState[state], model.tasks.filter((task) => task.state === state).length, state);
  }
  assert.equal(deadLetters, model.tasks.filter((task) => task.dead).length);
  for (const { id, key, state, token } of model.tasks) {
    const task = await queue.get(id);
    assert.deepEqual([task?.payload, task?.idempotencyKey], [{ key }, key]);
    if (state === "completed") assert.deepEqual(task?.result, { token });
  }
}
