/** First step of opening a node: the data folder, what is kept in it, and the domain over it. */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { type Authority } from "../authority/authority.ts";
import { type LocalCache, openLocalCache } from "../cache/local.ts";
import type { Clock } from "../clock.ts";
import { isDatabaseUrl, type NodeConfig } from "../config.ts";
import { type DataFolder, openDataFolder } from "../data-folder.ts";
import type { Logger } from "../logger.ts";
import type { Nursery } from "../nursery/index.ts";
import type { PeerTarget } from "../peer/rpc.ts";
import { createPeerTable, type PeerTable } from "../peer/table.ts";
import { STORE_ENGINES, type Stores } from "../store/index.ts";
import { type LocalTaskQueue, openLocalQueue } from "../task/local.ts";
import { createPresence, type Presence } from "../workflow/presence.ts";
import { type LocalWorkflows, openWorkflows } from "../workflow/run/local.ts";
import type { Closers } from "./closers.ts";

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
}

/** Which peers have a copy of this node's cache. */
export interface CacheReplicas {
  /** Those that always have one. Default: none. */
  readonly peers?: readonly PeerTarget[] | undefined;
  /** Whether peers have one while they are connected, too. Default: no. */
  readonly connected?: boolean | undefined;
}

/** What the first step gives to the next ones. */
export interface Foundation extends Opening {
  readonly folder: DataFolder;
  readonly stores: Stores;
  readonly queue: LocalTaskQueue;
  readonly cache: LocalCache;
  readonly table: PeerTable;
  readonly presence: Presence;
  readonly workflows: LocalWorkflows;
  /** Another one each time a node starts. */
  readonly instance: string;
}

/** @throws StoreLockedError if another node has the data folder, and the store's own errors */
export async function openFoundation(opening: Opening): Promise<Foundation> {
  const { config, clock, logger, nursery, closers } = opening;
  const folder = await openDataFolder(config.dataDir);
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
  const workflows = openWorkflows({
    store: stores.workflows,
    queue: queue.queue,
    nursery,
    clock,
    logger: logger.child({ room: "workflow" }),
    // The folder is locked: whoever conducts in this name and is gone will not come back as another.
    conductor: `${hostname()}:${config.dataDir}`,
    retentionMs,
  });
  closers.add("the workflows", () => workflows.stop());
  return {
    ...opening,
    folder,
    stores,
    queue,
    workflows,
    cache: openLocalCache({ store: stores.cache, clock }),
    table: createPeerTable({ clock }),
    presence: createPresence(clock),
    instance: randomUUID(),
  };
}

async function openStores({ store, database: path, dataDir }: NodeConfig, logger: Logger): Promise<Stores> {
  if (!isDatabaseUrl(store)) return STORE_ENGINES[store]({ path, logger });
  // The name of a node is that of its folder's identity, also if it has no peers.
  const owner = async (): Promise<string> =>
    (await (await import("./identity.ts")).identityOf(dataDir)).peerId;
  return STORE_ENGINES.postgres({ path, url: store, owner, logger });
}
