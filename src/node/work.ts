/** Last step of opening a node: the worker, on the own queue and on those of the nodes it works for. */
import { UnreachableError } from "../errors.ts";
import type { TaskQueue } from "../task/queue.ts";
import { remoteQueue } from "../task/remote.ts";
import { createHandlers, Delivery, type QueueSource, startWorker, type Worker } from "../worker/index.ts";
import { containersOf } from "./containers.ts";
import type { Foundation } from "./foundation.ts";
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
  const own = queue.as(WORKER_HOLDER);
  if (config.workers === 0)
    return { taskTypes: [], slots: 0, running: 0, ...resting(foundation, network, own) };
  const containers = await containersOf(foundation);
  const handlers = createHandlers({
    callTool: (name, args, options) => serving.callToolForTask(name, args, options),
    isRepeatable: (name) => serving.isRepeatable(name),
    containers,
  });
  const far = await farQueues(foundation, network);
  const worker = startWorker({
    nursery,
    clock,
    logger: logger.child({ room: "worker" }),
    workerId,
    sources: [{ name: OWN_QUEUE, queue: own }, ...far.sources],
    handlers,
    skills: () => serving.toolNames().map((name) => `tool:${name}`),
    concurrency: config.workers,
    leaseMs: config.leaseMs,
    outbox: stores.outbox,
    outboxQueue: (name) => (name === OWN_QUEUE ? own : queueOfNode(name, foundation, network)),
  });
  closers.add("the worker", () => worker.drain(config.drainMs));
  // A claim that waits at a queue was made with the tools of that time.
  const unsubscribe = serving.onToolsChanged(() => worker.refresh());
  closers.add("the worker's view of the tools", async () => unsubscribe());
  far.follow(worker);
  return workOf(
    worker,
    config.workers,
    handlers.map((handler) => handler.type),
  );
}

/** A node that does not work still brings the results of its hosts home. */
function resting(foundation: Foundation, network: Network, own: TaskQueue): Pick<Work, "deliver"> {
  const { clock, logger, nursery, stores } = foundation;
  const delivery = new Delivery({
    outbox: stores.outbox,
    outboxQueue: (name) => (name === OWN_QUEUE ? own : queueOfNode(name, foundation, network)),
    clock,
    logger: logger.child({ room: "worker" }),
    random: Math.random,
  });
  nursery.startSoon(() => delivery.run(), "outbox");
  return { deliver: (entry, queue) => delivery.deliver(entry, queue, () => true) };
}

/** The queue that a result belongs to. @throws UnreachableError without a libp2p host */
function queueOfNode(name: string, { queue }: Foundation, { host, peerId }: Network): TaskQueue {
  if (name === peerId) return queue.as(peerId);
  return host === undefined ? refuse(name) : remoteQueue(host.rpc, { peerId: name });
}

/** The queues of other nodes: those that are named, and those that will be discovered. */
interface FarQueues {
  readonly sources: readonly QueueSource[];
  follow(worker: Worker): void;
}

async function farQueues(
  { config, nursery, logger, table }: Foundation,
  { host }: Network,
): Promise<FarQueues> {
  if (host === undefined) {
    for (const name of config.workFor) refuse(name);
    return { sources: [], follow: () => undefined };
  }
  const { followDiscovery, sourceOf } = await import("./sources.ts");
  const named = config.workFor.filter((name) => name !== DISCOVERED);
  return {
    sources: named.map((name) => sourceOf(name, host, table)),
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
    deliver: (entry, queue) => worker.deliver(entry, queue),
  };
}

function refuse(name: string): never {
  throw new UnreachableError(`there is no libp2p host to reach ${name}`, {
    hint: "start the node without --no-p2p",
  });
}
