/** Workflows over memory stores, with workers made of code and a clock that is moved by hand. */
import { openHost } from "../../../src/nursery/index.ts";
import type { JsonObject } from "../../../src/content/json.ts";
import { openMemoryStores, type Stores } from "../../../src/store/index.ts";
import { type LocalTaskQueue, openLocalQueue } from "../../../src/task/local.ts";
import type { ClaimedTask, TaskQueue } from "../../../src/task/queue.ts";
import type { Task } from "../../../src/task/task.ts";
import { type LocalWorkflows, openWorkflows } from "../../../src/workflow/run/local.ts";
import type { RunView, Workflows } from "../../../src/workflow/run/workflows.ts";
import { serveWorkflowMethods } from "../../../src/workflow/run/methods.ts";
import { remoteWorkflows } from "../../../src/workflow/run/remote.ts";
import { LoopbackRpc } from "../../support/loopback-rpc.ts";
import { settled, TestClock } from "../../support/clock.ts";

/** What a worker makes of a task: its result, or what it throws. */
export type Work = (task: Task) => JsonObject;

/** A queue and its workflows. */
export interface Engine extends AsyncDisposable {
  readonly clock: TestClock;
  readonly stores: Stores;
  readonly queue: TaskQueue;
  readonly flows: Workflows;
  readonly local: LocalWorkflows;
  /** Claims everything that is ready. */
  claim(): Promise<readonly ClaimedTask[]>;
  /** Works until nothing is ready any more. @returns the tasks, in the order in which they were done */
  work(work?: Work): Promise<readonly Task[]>;
  /** The run once it has ended; working with `work` meanwhile. */
  finish(runId: string, work?: Work): Promise<RunView>;
}

/** What an engine can be opened over instead of a fresh one. */
export interface EngineParts {
  readonly clock?: TestClock | undefined;
  readonly stores?: Stores | undefined;
  readonly conductor?: string | undefined;
  /** Whether the workflows are asked as those of a peer are, through JSON text. Default false. */
  readonly far?: boolean | undefined;
}

const echo: Work = (task) => task.payload;

/** Opens an engine. */
export function openEngine({
  clock = new TestClock(),
  stores = openMemoryStores(),
  conductor = "here",
  far = false,
}: EngineParts = {}): Engine {
  const host = openHost({ clock, name: "test" });
  const queue: LocalTaskQueue = openLocalQueue({
    store: stores.tasks,
    nursery: host.nursery,
    clock,
    random: () => 0,
  });
  const local = openWorkflows({
    store: stores.workflows,
    queue: queue.queue,
    nursery: host.nursery,
    clock,
    conductor,
  });
  const rpc = new LoopbackRpc({ nursery: host.nursery, clock, methods: serveWorkflowMethods(local) });
  const flows = far ? remoteWorkflows(rpc, { peerId: "far" }) : local.workflows;
  const claim = async (): Promise<readonly ClaimedTask[]> => {
    await settled();
    return queue.queue.claim({ workerId: "w", limit: 100 });
  };
  const work = async (how: Work = echo): Promise<readonly Task[]> => {
    const done: Task[] = [];
    for (let claims = await claim(); claims.length > 0; claims = await claim()) {
      for (const { task, lease } of claims) {
        await settle(queue.queue, task, lease, how);
        done.push(task);
      }
    }
    return done;
  };
  return {
    clock,
    stores,
    queue: queue.queue,
    flows,
    local,
    claim,
    work,
    async finish(runId, how) {
      await work(how);
      const view = await local.workflows.get(runId);
      if (!view || view.state === "running")
        throw new Error(`the run has not ended: ${JSON.stringify(view)}`);
      return view;
    },
    async [Symbol.asyncDispose]() {
      await local.stop();
      await queue.stop();
      await host.close();
    },
  };
}

async function settle(queue: TaskQueue, task: Task, lease: ClaimedTask["lease"], how: Work): Promise<void> {
  try {
    await queue.complete(lease, how(task));
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    await queue.fail(lease, { error: { code: "E_TEST", message, failureClass: "internal" } });
  }
}
