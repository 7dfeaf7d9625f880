/** The queues of other nodes that this node works for, and keeping up with the ones that are discovered. */
import { type P2pHost, parseMultiaddr, peerIdIn } from "../p2p/index.ts";
import { errorFacts, InvalidInputError } from "../errors.ts";
import { failAfter, rethrowIfCancelled, sleep } from "../nursery/index.ts";
import type { PeerTable } from "../peer/table.ts";
import { remoteQueue } from "../task/remote.ts";
import type { TaskQueue } from "../task/queue.ts";
import type { QueueSource, Worker } from "../worker/index.ts";
import type { Logger } from "../logger.ts";

/** How often discovery is asked for nodes to work for: a new node waits this long at most for its first helper. */
export const DISCOVER_INTERVAL_MS = 3000;
/** How many discovered queues one worker serves, as in the old system's mesh. */
export const MAX_DISCOVERED_SOURCES = 100;

/** How soon a discovered node that was not reached, or is none of ours, is asked again. */
export const ASK_AGAIN_MS = 60_000;
/** How long connecting to a discovered node may take, proof of the token included. */
const ASK_LIMIT_MS = 10_000;

/**
 * The queue called `name`: a peer id, or a multiaddr that ends in one. Whoever is named is trusted with our tools, so
 * it must be somebody in particular.
 *
 * @throws InvalidInputError for a multiaddr without a peer id
 */
export function sourceOf(name: string, host: P2pHost, table: PeerTable): QueueSource {
  if (!name.startsWith("/")) return { name, queue: queueOfPeer(name, host) };
  const peerId = peerIdIn(parseMultiaddr(name));
  if (peerId === undefined) {
    throw new InvalidInputError(`'${name}' does not say whose queue to work for`, {
      hint: "end it in /p2p/<peer id>; `mcpp id` on that machine prints it",
    });
  }
  table.heard(peerId, { multiaddrs: [name], method: "explicit" });
  return { name: peerId, queue: queueOfPeer(peerId, host) };
}

/** The queue of a peer. */
export function queueOfPeer(peerId: string, host: P2pHost): TaskQueue {
  return remoteQueue(host.rpc, { peerId });
}

/** What following discovery works with. */
export interface FollowOptions {
  readonly host: P2pHost;
  readonly worker: Worker;
  readonly logger: Logger;
}

/**
 * Works for each node that discovery finds and that is one of ours, as long as it is not cancelled.
 *
 * Working for a node means running what it asks for with our tools, so being found is not enough: it must be on this
 * machine, on the allow-list, or have proven the shared token. One that is gone makes room for others.
 */
export async function followDiscovery({ host, worker, logger }: FollowOptions): Promise<never> {
  const sources = new Set<string>();
  /** When to ask a node again, in milliseconds of this loop's own count. */
  const refused = new Map<string, number>();
  for (let elapsedMs = 0; ; elapsedMs += DISCOVER_INTERVAL_MS) {
    const found = await host.findPeers({ timeoutMs: DISCOVER_INTERVAL_MS, limit: MAX_DISCOVERED_SOURCES });
    const ids = new Set(found.map(({ peerId }) => peerId));
    dropGone(worker, sources, ids);
    for (const [peerId, atMs] of refused) if (atMs <= elapsedMs) refused.delete(peerId);
    for (const peerId of ids) {
      if (sources.has(peerId) || refused.has(peerId) || sources.size >= MAX_DISCOVERED_SOURCES) continue;
      if (await isOurs(peerId, host, logger)) {
        sources.add(peerId);
        worker.addSource({ name: peerId, queue: queueOfPeer(peerId, host) });
        logger.info({ peerId }, "works for a discovered node");
      } else refused.set(peerId, elapsedMs + ASK_AGAIN_MS);
    }
    await sleep(DISCOVER_INTERVAL_MS);
  }
}

async function isOurs(peerId: string, host: P2pHost, logger: Logger): Promise<boolean> {
  try {
    const ours = await failAfter(ASK_LIMIT_MS, () => host.trusts(peerId));
    if (!ours) logger.warn({ peerId }, "a discovered node is not trusted; not working for it");
    return ours;
  } catch (error) {
    rethrowIfCancelled(error);
    logger.info({ peerId, ...errorFacts(error) }, "a discovered node could not be reached");
    return false;
  }
}

/** Claims no more from nodes that neither discovery finds nor the worker reaches. */
function dropGone(worker: Worker, sources: Set<string>, found: ReadonlySet<string>): void {
  const { perSource } = worker.stats();
  for (const peerId of sources) {
    if (found.has(peerId) || perSource[peerId]?.state !== "down") continue;
    sources.delete(peerId);
    worker.removeSource(peerId);
  }
}
