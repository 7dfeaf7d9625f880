/** Last step of opening a node: the worker, on the own queue and on those of the nodes it works for. */
import type { NodeConfig } from "../config.ts";
import { ConfigError, UnreachableError } from "../errors.ts";
import type { Gpu } from "../peer/capabilities.ts";
import type { OutboxStore } from "../task/outbox.ts";
import type { TaskQueue } from "../task/queue.ts";
import { canonicalType } from "../task/routing.ts";
import { remoteQueue } from "../task/remote.ts";
import {
  type Containers,
  createHandlers,
  Delivery,
  type Handler,
  type Inference,
  type QueueSource,
  startWorker,
  type Worker,
} from "../worker/index.ts";
import { containersOf } from "./containers.ts";
import { gpusHere } from "./hardware.ts";
import { inferenceOf } from "./inference.ts";
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
export async function openWork(foundation: Foundation, serving: Serving, network: Network): Promise<Work> {
  const { config, clock, logger, nursery, closers, queue, workerId } = foundation;
  const slots = slotsOf(config, foundation.share);
  const own = queue.as(WORKER_HOLDER);
  const idle = { taskTypes: [], models: [], backends: [], slots: 0, running: 0 };
  if (slots === 0) return { ...idle, ...resting(foundation, network, own) };
  checkSlots(config);
  const containers = await containersOf(foundation);
  const inference = await inferenceOf(foundation);
  const handlers = createHandlers({
    callTool: (name, args, options) => serving.callToolForTask(name, args, options),
    isRepeatable: (name) => serving.isRepeatable(name),
    containers,
    inference,
  });
  const types = handlers.map((handler) => handler.type);
  warnOfIdleLimits(foundation, types);
  const far = await farQueues(foundation, network);
  const worker = startWorker({
    nursery,
    clock,
    logger: logger.child({ room: "worker" }),
    workerId,
    sources: [{ name: OWN_QUEUE, queue: own }, ...far.sources],
    handlers,
    skills: () => [
      `worker:${workerId}`,
      ...(inference?.models ?? []).map((model) => `model:${model}`),
      ...serving.toolNames().map((name) => `tool:${name}`),
    ],
    concurrency: slots,
    minConcurrency: config.minWorkers === undefined ? undefined : Math.min(config.minWorkers, slots),
    concurrencyOf: new Map(config.concurrency.map(({ name, target }) => [name, Number(target)])),
    leaseMs: config.leaseMs,
    outbox: outboxOf(foundation),
    outboxQueue: (name) => (name === OWN_QUEUE ? own : queueOfNode(name, foundation, network)),
  });
  closers.add("the worker", () => worker.drain(config.drainMs));
  // A claim that waits at a queue was made with the tools of that time.
  const unsubscribe = serving.onToolsChanged(() => worker.refresh());
  closers.add("the worker's view of the tools", async () => unsubscribe());
  inference?.onChange(() => worker.refresh());
  far.follow(worker);
  return workOf(foundation, { worker, handlers, inference, containers });
}

/** A limit for a type that nobody works on is a slip of the pen, most likely. */
function warnOfIdleLimits({ config, logger }: Foundation, types: readonly string[]): void {
  const idle = config.concurrency
    .map(({ name }) => name)
    .filter((name) => !types.includes(canonicalType(name)));
  if (idle.length > 0)
    logger.warn({ types: idle }, "a limit is set for types that this node does not work on");
}

/** Of several processes the first brings results to other nodes. */
function outboxOf({ stores, share }: Foundation): OutboxStore {
  return isFirst(share) ? stores.outbox : ownQueueOnly(stores.outbox);
}

/** A node that does not work still brings the results of its hosts home. */
function resting(foundation: Foundation, network: Network, own: TaskQueue): Pick<Work, "deliver"> {
  const { clock, logger, nursery } = foundation;
  const delivery = new Delivery({
    outbox: outboxOf(foundation),
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
  { config, nursery, logger, table, share }: Foundation,
  { host }: Network,
): Promise<FarQueues> {
  // The first process works for other nodes.
  if (!isFirst(share)) return { sources: [], follow: () => undefined };
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

/** @throws ConfigError if the worker would begin with more slots than it may have */
function checkSlots({ workers, minWorkers = workers }: NodeConfig): void {
  if (minWorkers > workers)
    throw new ConfigError(
      "--workers-min",
      undefined,
      `must be at most --workers (${workers}), not ${minWorkers}`,
    );
}

/** What a worker's status is made of. */
interface Shown {
  readonly worker: Worker;
  readonly handlers: readonly Handler[];
  readonly inference: Inference | undefined;
  readonly containers: Containers | undefined;
}

function workOf({ nursery }: Foundation, { worker, handlers, inference, containers }: Shown): Work {
  let gpus: readonly Gpu[] | undefined;
  nursery.startSoon(async () => {
    gpus = await gpusHere();
  }, "look for graphics processors");
  const engine = containers?.engine;
  return {
    get taskTypes() {
      return handlers.flatMap(({ type, isOpen }) => (isOpen?.() === false ? [] : [type]));
    },
    get models() {
      return inference?.models ?? [];
    },
    get backends() {
      return inference?.facts ?? [];
    },
    engine: engine && `${engine.isPodman ? "podman" : "docker"} ${engine.version}`,
    get gpus() {
      return gpus;
    },
    get slots() {
      return worker.slots;
    },
    get running() {
      return worker.running;
    },
    deliver: (entry, queue) => worker.deliver(entry, queue),
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
