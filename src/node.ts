/** A node: opens the drivers, introduces the rooms to each other, and closes everything in reverse order. */
import type { Transport } from "@modelcontextprotocol/client";
import { createAuthority } from "./authority/authority.ts";
import type { SharedCache } from "./cache/cache.ts";
import { remoteCache } from "./cache/remote.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { NodeConfig } from "./config.ts";
import { UnreachableError } from "./errors.ts";
import { createLogger, type Logger } from "./logger.ts";
import { openHost } from "./nursery/index.ts";
import { type Closers, createClosers } from "./node/closers.ts";
import type { CacheReplicas } from "./node/cache-replicas.ts";
import { openFoundation } from "./node/foundation.ts";
import { openNetwork } from "./node/network.ts";
import { openServing } from "./node/serving.ts";
import type { ProcessShare } from "./node/processes/share.ts";
import type { Network } from "./node/rooms.ts";
import { openWork } from "./node/work.ts";
import type { P2pHost } from "./p2p/index.ts";
import type { PeerTarget } from "./peer/rpc.ts";
import type { TaskQueue } from "./task/queue.ts";
import type { SessionRecord } from "./transport/http/sessions.ts";
import { requirePort } from "./transport/index.ts";
import type { Workflows } from "./workflow/run/workflows.ts";

/** A running node. */
export interface Node extends AsyncDisposable {
  /** "" if it has no libp2p host. */
  readonly peerId: string;
  /** Where hosts reach its MCP server over HTTP; undefined if it serves none. */
  readonly url: string | undefined;
  /** Where peers reach it, each ending in its peer id. */
  readonly multiaddrs: readonly string[];
  /** Its own queue, with the rights of the owner. */
  readonly queue: TaskQueue;
  /** Its own workflows, with the rights of the owner. */
  readonly workflows: Workflows;
  /** Its own cache. */
  readonly cache: SharedCache;
  /** The cache of a peer. @throws UnreachableError if this node has no libp2p host */
  cacheAt(peer: PeerTarget): SharedCache;
  /** Settles when the node has ended; rejects if a part of it failed, which ends the whole. */
  readonly ended: Promise<void>;
  /** A transport to its MCP server from within this process, with the rights of the owner. */
  connect(): Promise<Transport>;
  /** Serves MCP over this process's standard input and output until the input ends. */
  serveStdio(): Promise<void>;
  /**
   * Lets the HTTP connections end that another process of the node takes over, see `HttpServer.drain`; then it can be closed
   * without a request being refused.
   *
   * @returns the sessions that the other process goes on with, see `ProcessShare.sessions`
   */
  drain(): Promise<readonly SessionRecord[]>;
  /**
   * Shuts down: stops taking work, lets running tasks finish within the drain time or hands their leases back,
   * flushes, and closes everything in reverse order. Idempotent.
   */
  close(): Promise<void>;
}

/** What a caller may bring along. */
export interface NodeOptions {
  readonly clock?: Clock | undefined;
  /** Default: JSON lines on standard error from the configured level on. */
  readonly logger?: Logger | undefined;
  /** Default: the cache is copied to nobody. */
  readonly cacheReplicas?: CacheReplicas | undefined;
  /** Which part of a node this process is. Default: all of it. */
  readonly share?: ProcessShare | undefined;
}

/**
 * Starts a node. When it resolves, the node listens, works and has announced itself.
 *
 * @throws StoreLockedError if another node uses the data folder, ConfigError for what the configuration gets wrong,
 *   and the store's and network's own errors; nothing is left open then
 */
export async function createNode(config: NodeConfig, options: NodeOptions = {}): Promise<Node> {
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? createLogger(config.logLevel);
  const host = openHost({ clock, name: "node" });
  const closers = createClosers();
  const { cacheReplicas = {}, share } = options;
  const opening = { clock, logger, host, closers, cacheReplicas, share };
  try {
    return await host.nursery.run(() => open(config, opening), {}, "open node");
  } catch (error) {
    await closeNode(host, closers);
    throw error;
  }
}

interface Opening {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly host: ReturnType<typeof openHost>;
  readonly closers: Closers;
  readonly cacheReplicas: CacheReplicas;
  readonly share: ProcessShare | undefined;
}

async function open(config: NodeConfig, opening: Opening): Promise<Node> {
  const { clock, logger, host, closers, cacheReplicas, share } = opening;
  const startedAtMs = clock.epochMs();
  const common = { config, clock, logger, closers, nursery: host.nursery, startedAtMs, cacheReplicas, share };
  const foundation = await openFoundation({
    ...common,
    authority: createAuthority({ allowPeers: config.allowPeers }),
  });
  // After the store, whose lock says it better if the other process is this very node.
  if (config.http && share === undefined) await requirePort(config.host, config.port);
  const serving = await openServing(foundation);
  const network = await openNetwork(foundation, serving);
  const work = await openWork(foundation, serving, network);
  foundation.scheduling.introduce({ network, work });
  serving.introduce({ network, work });
  const url = await serving.listen();
  await network.announce(url);
  // Closed first: whoever waits learns it now, so that no connection holds up what is closed next. Workers still settle.
  closers.add("waits and claims", () => foundation.queue.stop());
  closers.add("the conducting of workflows", () => foundation.workflows.stop());
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= closeNode(host, closers));
  return {
    peerId: network.peerId,
    url,
    get multiaddrs() {
      return network.multiaddrs();
    },
    queue: foundation.queue.queue,
    cache: foundation.cache,
    workflows: foundation.workflows.workflows,
    cacheAt: (peer) => remoteCache(hostOf(network).rpc, peer, clock),
    ended: host.ended,
    connect: () => serving.connect(),
    serveStdio: () => serving.serveStdio(),
    drain: () => serving.drain(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function hostOf({ host }: Network): P2pHost {
  if (host) return host;
  throw new UnreachableError("this node has no libp2p host", { hint: "start it without --no-p2p" });
}

async function closeNode(host: ReturnType<typeof openHost>, closers: Closers): Promise<void> {
  try {
    await closers.closeAll();
  } finally {
    await host.close();
  }
}
