/** First step of opening a node: the data folder, what is kept in it, and the domain over it. */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { type Authority } from "../authority/authority.ts";
import { type LocalCache, openLocalCache } from "../cache/local.ts";
import type { Clock } from "../clock.ts";
import { isDatabaseUrl, type NodeConfig } from "../config.ts";
import { type DataFolder, ensureDataFolder, openDataFolder } from "../data-folder.ts";
import type { Logger } from "../logger.ts";
import type { Nursery } from "../nursery/index.ts";
import { createPeerTable, type PeerTable } from "../peer/table.ts";
import { STORE_ENGINES, type Stores } from "../store/index.ts";
import { type LocalTaskQueue, openLocalQueue } from "../task/local.ts";
import { createPresence, type Presence } from "../workflow/presence.ts";
import { type LocalWorkflows, openWorkflows } from "../workflow/run/local.ts";
import { mayTravel } from "../workflow/placement.ts";
import type { CacheReplicas } from "./cache-replicas.ts";
import type { Closers } from "./closers.ts";
import type { ProcessShare } from "./processes/share.ts";
import { openScheduling, type Scheduling } from "./scheduling.ts";
import { workerNameOf } from "./worker-name.ts";

/** What every step of opening has. */
export interface Opening {
  readonly config: NodeConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly nursery: Nursery;
  readonly closers: Closers;
  readonly authority: Authority;
  readonly startedAtMs: number;
  readonly cacheReplicas: CacheReplicas;
  /** Undefined: the process is the whole node. */
  readonly share: ProcessShare | undefined;
}

/** What the first step gives to the next ones. */
export interface Foundation extends Opening {
  readonly folder: DataFolder;
  readonly stores: Stores;
  readonly queue: LocalTaskQueue;
  readonly cache: LocalCache;
  readonly table: PeerTable;
  readonly presence: Presence;
  readonly scheduling: Scheduling;
  readonly workflows: LocalWorkflows;
  /** The name under which this node claims tasks. */
  readonly workerId: string;
  /** Another one each time a node starts. */
  readonly instance: string;
}

/** @throws StoreLockedError if another node has the data folder, and the store's own errors */
export async function openFoundation(opening: Opening): Promise<Foundation> {
  const { config, clock, logger, nursery, closers } = opening;
  const folder = await openFolder(opening);
  closers.add("the data folder", () => folder.close());
  const stores = await openStores(config, logger.child({ room: "store" }));
  closers.add("the store", () => stores.close());
  const { retentionMs } = config;
  const queue = openLocalQueue({
    store: stores.tasks,
    nursery,
    clock,
    logger: logger.child({ room: "task" }),
    retentionMs,
  });
  closers.add("the queue", () => queue.stop());
  const table = createPeerTable({ clock });
  const workerId = await workerNameOf(opening);
  const workflows = openWorkflows({
    store: stores.workflows,
    queue: queue.queue,
    nursery,
    clock,
    logger: logger.child({ room: "workflow" }),
    // The folder is locked: whoever conducts in this name and is gone will not come back as another.
    conductor: `${hostname()}:${config.dataDir}${opening.share ? `:${opening.share.slot}` : ""}`,
    // What stays here is meant for this node's own worker.
    place: (task, placement) =>
      mayTravel(placement) ? task : { ...task, payload: { ...task.payload, sticky_worker_id: workerId } },
    retentionMs,
  });
  closers.add("the workflows", () => workflows.stop());
  return {
    ...opening,
    folder,
    stores,
    queue,
    workflows,
    workerId,
    cache: openLocalCache({ store: stores.cache, clock }),
    table,
    scheduling: await openScheduling(opening, queue, table),
    presence: createPresence(clock),
    instance: randomUUID(),
  };
}

/** One of several processes uses the folder that their parent has locked. */
async function openFolder({ config, share }: Opening): Promise<DataFolder> {
  if (share === undefined) return openDataFolder(config.dataDir);
  return { ...(await ensureDataFolder(config.dataDir)), close: () => Promise.resolve() };
}

async function openStores({ store, database: path, dataDir }: NodeConfig, logger: Logger): Promise<Stores> {
  if (!isDatabaseUrl(store)) return STORE_ENGINES[store]({ path, logger });
  // The name of a node is that of its folder's identity, also if it has no peers.
  const owner = async (): Promise<string> =>
    (await (await import("./identity.ts")).identityOf(dataDir)).peerId;
  return STORE_ENGINES.postgres({ path, url: store, owner, logger });
}
