/** Last step of opening a node: the worker, on the own queue and on those of the nodes it works for. */
import { UnreachableError } from "../errors.ts";
import type { OutboxStore } from "../task/outbox.ts";
import type { TaskQueue } from "../task/queue.ts";
import { createHandlers, type QueueSource, startWorker, type Worker } from "../worker/index.ts";
import { containersOf } from "./containers.ts";
import type { Foundation } from "./foundation.ts";
import { isFirst, slotsOf } from "./processes/share.ts";
import type { Network, Serving, Work } from "./rooms.ts";

/** The name of the own queue among a worker's sources. */
export const OWN_QUEUE = "local";

/**
 * In whose name the worker holds tasks of the own queue. Not the owner's: whoever calls this node as its owner could
 * end them knowing only their ids.
 */
const WORKER_HOLDER = "worker";

/** The word that stands for every node that discovery finds. */
export const DISCOVERED = "discovered";

/** Starts the worker, unless the configuration says that this node does not work. */
export async function openWork(
  foundation: Foundation,
  serving: Serving,
  network: Network,
  workerId: string,
): Promise<Work> {
  const { config, clock, logger, nursery, closers, stores, queue } = foundation;
  const slots = slotsOf(config, foundation.share);
  if (slots === 0) return { taskTypes: [], slots: 0, running: 0 };
  const containers = await containersOf(foundation);
  const handlers = createHandlers({
    callTool: (name, args, options) => serving.callToolForTask(name, args, options),
    isRepeatable: (name) => serving.isRepeatable(name),
    containers,
  });
  const own = queue.as(WORKER_HOLDER);
  const far = await farQueues(foundation, network);
  const worker = startWorker({
    nursery,
    clock,
    logger: logger.child({ room: "worker" }),
    workerId,
    sources: [{ name: OWN_QUEUE, queue: own }, ...far.sources],
    handlers,
    skills: () => serving.toolNames().map((name) => `tool:${name}`),
    concurrency: slots,
    leaseMs: config.leaseMs,
    outbox: isFirst(foundation.share) ? stores.outbox : ownQueueOnly(stores.outbox),
    outboxQueue: (name) => (name === OWN_QUEUE ? own : far.queueOf(name)),
  });
  closers.add("the worker", () => worker.drain(config.drainMs));
  // A claim that waits at a queue was made with the tools of that time.
  const unsubscribe = serving.onToolsChanged(() => worker.refresh());
  closers.add("the worker's view of the tools", async () => unsubscribe());
  far.follow(worker);
  return workOf(
    worker,
    slots,
    handlers.map((handler) => handler.type),
  );
}

/** The queues of other nodes: those that are named, and those that will be discovered. */
interface FarQueues {
  readonly sources: readonly QueueSource[];
  queueOf(name: string): TaskQueue;
  follow(worker: Worker): void;
}

async function farQueues(
  { config, nursery, logger, table, share }: Foundation,
  { host }: Network,
): Promise<FarQueues> {
  // The first process works for other nodes.
  if (!isFirst(share)) return { sources: [], queueOf: refuse, follow: () => undefined };
  if (host === undefined) {
    for (const name of config.workFor) refuse(name);
    return { sources: [], queueOf: refuse, follow: () => undefined };
  }
  const { followDiscovery, queueOfPeer, sourceOf } = await import("./sources.ts");
  const named = config.workFor.filter((name) => name !== DISCOVERED);
  return {
    sources: named.map((name) => sourceOf(name, host, table)),
    queueOf: (name) => queueOfPeer(name, host),
    follow(worker) {
      if (!config.workFor.includes(DISCOVERED)) return;
      nursery.startSoon(() => followDiscovery({ host, worker, logger }), "follow discovery");
    },
  };
}

function workOf(worker: Worker, slots: number, taskTypes: readonly string[]): Work {
  return {
    taskTypes,
    slots,
    get running() {
      return worker.running;
    },
  };
}

/** What waits for other nodes is delivered by the first process. */
function ownQueueOnly(outbox: OutboxStore): OutboxStore {
  return {
    put: (entry) => outbox.put(entry),
    queues: async () => (await outbox.queues()).filter((name) => name === OWN_QUEUE),
    keys: (queue, limit) => outbox.keys(queue, limit),
    get: (queue, lease) => outbox.get(queue, lease),
    remove: (queue, lease) => outbox.remove(queue, lease),
  };
}

function refuse(name: string): never {
  throw new UnreachableError(`there is no libp2p host to reach ${name}`, {
    hint: "start the node without --no-p2p",
  });
}
