/** A local queue with everything around it, for tests. */
import type { Caller } from "../../src/authority/caller.ts";
import { openNursery, type Nursery } from "../../src/nursery/index.ts";
import { openMemoryStores } from "../../src/store/index.ts";
import { type LocalQueueOptions, type LocalTaskQueue, openLocalQueue } from "../../src/task/local.ts";
import { serveTaskMethods } from "../../src/task/methods.ts";
import type { ClaimedTask, TaskQueue } from "../../src/task/queue.ts";
import { remoteQueue } from "../../src/task/remote.ts";
import type { NewTask } from "../../src/task/task.ts";
import type { TaskStore } from "../../src/task/store.ts";
import { TestClock } from "../support/clock.ts";
import { LoopbackRpc } from "../support/loopback-rpc.ts";

/** What a test gets. */
export interface Bench {
  readonly queue: TaskQueue;
  /** The queue in another holder's hands. */
  readonly as: (holder: string) => TaskQueue;
  readonly clock: TestClock;
  readonly local: LocalTaskQueue;
  readonly store: TaskStore;
  readonly nursery: Nursery;
}

/** How a test's bench differs from the usual. */
export interface BenchOptions extends Partial<Omit<LocalQueueOptions, "nursery" | "clock" | "store">> {
  readonly clock?: TestClock;
  readonly store?: TaskStore;
  /** Puts something between the queue and its store. */
  readonly wrap?: (store: TaskStore) => TaskStore;
}

/** Runs `test` with a queue in this process, and stops it. */
export async function withQueue(
  test: (bench: Bench) => Promise<void>,
  options: BenchOptions = {},
): Promise<void> {
  const clock = options.clock ?? new TestClock();
  const { wrap = (one) => one, store = openMemoryStores().tasks, ...rest } = options;
  await openNursery(async (nursery) => {
    const local = openLocalQueue({ ...rest, store: wrap(store), nursery, clock });
    try {
      await test({ queue: local.queue, as: (holder) => local.as(holder), clock, local, store, nursery });
    } finally {
      await local.stop();
    }
  });
}

/** Runs `test` with the same queue, seen from a peer. */
export function withRemoteQueue(test: (bench: Bench) => Promise<void>): Promise<void> {
  return withQueue((bench) => {
    const { local, clock, nursery } = bench;
    const methods = serveTaskMethods(local);
    const as = (peerId: string): TaskQueue => {
      const caller: Caller = { kind: "peer", peerId, sameMachine: true, provedToken: false };
      return remoteQueue(new LoopbackRpc({ nursery, methods, caller, clock }), { peerId: "queue" }, clock);
    };
    return test({ ...bench, as, queue: as("owner") });
  });
}

/** Submits one task and gives its id. */
export async function submitOne(queue: TaskQueue, task: Partial<NewTask> = {}): Promise<string> {
  const [receipt] = await queue.submit([{ type: "echo", payload: {}, ...task }]);
  if (!receipt) throw new Error("no receipt");
  return receipt.taskId;
}

/** Claims one task that must be there. */
export async function claimOne(queue: TaskQueue, leaseMs = 30_000): Promise<ClaimedTask> {
  const [claimed] = await queue.claim({ workerId: "w", leaseMs });
  if (!claimed) throw new Error("nothing to claim");
  return claimed;
}

/** What rejected with this code, for `assert.rejects`. */
export function code(expected: string): { readonly code: string } {
  return { code: expected };
}

/** `store` with some of its methods replaced. */
export function storeWith(store: TaskStore, replaced: Partial<TaskStore>): TaskStore {
  return {
    insert: (...args) => store.insert(...args),
    claim: (...args) => store.claim(...args),
    anyReady: (...args) => store.anyReady(...args),
    renew: (...args) => store.renew(...args),
    note: (...args) => store.note(...args),
    settle: (...args) => store.settle(...args),
    cancel: (...args) => store.cancel(...args),
    get: (...args) => store.get(...args),
    news: (...args) => store.news(...args),
    leaseOf: (...args) => store.leaseOf(...args),
    list: (...args) => store.list(...args),
    settleDue: (...args) => store.settleDue(...args),
    stats: (...args) => store.stats(...args),
    prune: (...args) => store.prune(...args),
    onForeignChange: (...args) => store.onForeignChange(...args),
    survey: (...args) => store.survey(...args),
    ...replaced,
  };
}
