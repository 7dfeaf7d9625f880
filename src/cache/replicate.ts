/** Copies of this node's cache at its peers: which peers, and one {@link Replica} for each. Never delays a writer. */
import { cancelScope, type CancelScope, type Nursery } from "../nursery/index.ts";
import type { PeerTarget } from "../peer/rpc.ts";
import { Replica, type ReplicaOptions } from "./replica.ts";
import { newsWithin } from "./waiting.ts";

/** More peers than this would each get every write for no gain: a cache needs a few copies, not all. */
export const MAX_REPLICAS = 16;

/** How often it is looked which peers are connected, in milliseconds. */
const LOOK_EVERY_MS = 5000;

/** What replication is made of. */
export interface ReplicationOptions extends Omit<ReplicaOptions, "target"> {
  readonly nursery: Nursery;
  /** Peers that always have a copy, beyond {@link MAX_REPLICAS} too. */
  readonly peers: readonly PeerTarget[];
  /** Ids of the peers that are connected now, if those are to have a copy as well. Absent means only `peers`. */
  readonly connected?: (() => readonly string[]) | undefined;
}

/** Running replication. */
export interface Replication {
  /** Ends it. Idempotent. */
  stop(): void;
}

interface Running {
  readonly replica: Replica;
  end: () => void;
}

/** Starts to keep copies. What is written while a peer is away reaches it when it is back. */
export function startReplication(options: ReplicationOptions): Replication {
  const { cache, nursery } = options;
  const running = new Map<string, Running>();
  const scopes: CancelScope[] = [];
  let stopped = false;

  const begin = (name: string, target: PeerTarget): void => {
    const replica = new Replica({ ...options, target });
    const entry: Running = { replica, end: () => undefined };
    running.set(name, entry);
    nursery.startSoon(
      () =>
        cancelScope((scope: CancelScope) => {
          entry.end = () => scope.cancel("no copy is kept there any more");
          if (stopped || running.get(name) !== entry) entry.end();
          return replica.run();
        }),
      "replicate the cache",
    );
  };

  for (const target of options.peers) begin(nameOf(target), target);
  const { connected } = options;
  if (connected) {
    const fixed = new Set(running.keys());
    nursery.startSoon(
      () =>
        cancelScope(async (scope) => {
          scopes.push(scope);
          if (stopped) scope.cancel("replication ends");
          for (;;) {
            follow({ running, fixed, begin, ids: connected() });
            await newsWithin<void>(
              { clock: options.clock, timeoutMs: LOOK_EVERY_MS },
              () => () => undefined,
              undefined,
            );
          }
        }),
      "follow connected peers",
    );
  }
  const unsubscribe = cache.onWrite(() => {
    for (const { replica } of running.values()) replica.ring();
  });
  cache.reportReplicas(() => [...running.values()].map(({ replica }) => replica.stats()));
  return {
    stop() {
      stopped = true;
      unsubscribe();
      for (const scope of scopes) scope.cancel("replication ends");
      for (const entry of running.values()) entry.end();
    },
  };
}

function follow({
  running,
  fixed,
  begin,
  ids,
}: {
  readonly running: Map<string, Running>;
  readonly fixed: ReadonlySet<string>;
  readonly begin: (name: string, target: PeerTarget) => void;
  readonly ids: readonly string[];
}): void {
  const here = new Set(ids);
  for (const [name, entry] of running) {
    if (fixed.has(name) || here.has(name)) continue;
    running.delete(name);
    entry.end();
  }
  for (const peerId of here) {
    if (running.size < MAX_REPLICAS && !running.has(peerId)) begin(peerId, { peerId });
  }
}

/** The peer id where it is known, so that a connected peer that was also configured has one copy. */
function nameOf({ peerId, multiaddr = "" }: PeerTarget): string {
  return peerId ?? /\/p2p\/([^/]+)$/.exec(multiaddr)?.[1] ?? multiaddr;
}
