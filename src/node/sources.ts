/** The queues of other nodes that this node works for, and keeping up with the ones that are discovered. */
import { type P2pHost, parseMultiaddr, peerIdIn } from "../p2p/index.ts";
import type { PeerTable } from "../peer/table.ts";
import { type Nursery, sleep } from "../nursery/index.ts";
import { remoteQueue } from "../task/remote.ts";
import type { TaskQueue } from "../task/queue.ts";
import type { QueueSource, Worker } from "../worker/index.ts";
import type { Logger } from "../logger.ts";

/** How often discovery is asked for nodes to work for: a new node waits this long at most for its first helper. */
export const DISCOVER_INTERVAL_MS = 3000;
/** How many discovered queues one worker serves, as in the old system's mesh. */
export const MAX_DISCOVERED_SOURCES = 100;

/** The queue called `name`: a peer id, or a multiaddr whose id is taken if it ends in one. */
export function sourceOf(name: string, host: P2pHost, table: PeerTable): QueueSource {
  const peerId = name.startsWith("/") ? peerIdIn(parseMultiaddr(name)) : name;
  if (peerId === undefined) return { name, queue: remoteQueue(host.rpc, { multiaddr: name }) };
  if (peerId !== name) table.heard(peerId, { multiaddrs: [name], method: "explicit" });
  return { name: peerId, queue: queueOfPeer(peerId, host) };
}

/** The queue of the peer or address called `name`, for results that wait in the outbox. */
export function queueOfPeer(name: string, host: P2pHost): TaskQueue {
  return remoteQueue(host.rpc, name.startsWith("/") ? { multiaddr: name } : { peerId: name });
}

/** Adds the queue of each node that discovery finds, as long as the nursery lives. */
export function followDiscovery(nursery: Nursery, host: P2pHost, worker: Worker, logger: Logger): void {
  const known = new Set<string>([host.peerId]);
  nursery.startSoon(async () => {
    for (;;) {
      const peers = await host.findPeers({ timeoutMs: DISCOVER_INTERVAL_MS, limit: MAX_DISCOVERED_SOURCES });
      for (const { peerId } of peers) {
        if (known.has(peerId) || known.size > MAX_DISCOVERED_SOURCES) continue;
        known.add(peerId);
        worker.addSource({ name: peerId, queue: queueOfPeer(peerId, host) });
        logger.info({ peerId }, "works for a discovered node");
      }
      await sleep(DISCOVER_INTERVAL_MS);
    }
  }, "follow discovery");
}
