/** Small nodes for tests of the cache: a cache behind a real libp2p host that can go and come back. */
import { createAuthority } from "../../src/authority/authority.ts";
import { type LocalCache, openLocalCache } from "../../src/cache/local.ts";
import { serveCacheMethods } from "../../src/cache/methods.ts";
import { serveReplicaMethods } from "../../src/cache/replica-methods.ts";
import { type Clock, systemClock } from "../../src/clock.ts";
import { silentLogger } from "../../src/logger.ts";
import type { Nursery } from "../../src/nursery/index.ts";
import { newIdentity, openP2pHost, type P2pHost } from "../../src/p2p/index.ts";
import type { PeerTarget, RpcClient } from "../../src/peer/rpc.ts";
import { createPeerTable } from "../../src/peer/table.ts";
import { openMemoryStores } from "../../src/store/index.ts";
import { addressOf, withHosts } from "../p2p/hosts.ts";
import { settled } from "../support/clock.ts";

type Identity = Awaited<ReturnType<typeof newIdentity>>;

/** A node in small: a cache that outlives its host, and a host that can go and come back at the same address. */
export interface Site {
  readonly cache: LocalCache;
  readonly target: PeerTarget;
  host(): P2pHost;
  close(): Promise<void>;
  /** @param cache - what it serves from now on. Default: what it served before */
  reopen(cache?: LocalCache): Promise<void>;
}

/** Opens one on a free port of loopback. */
export async function openSite(nursery: Nursery, clock: Clock = systemClock): Promise<Site> {
  const cache = openLocalCache({ store: openMemoryStores().cache, clock });
  const privateKey = await newIdentity();
  let host = await hostOf(nursery, cache, clock, privateKey, "/ip4/127.0.0.1/tcp/0");
  const address = addressOf(host);
  return {
    cache,
    target: { multiaddr: address },
    host: () => host,
    close: () => host.close(),
    async reopen(other = cache) {
      const listen = address.replace(/\/p2p\/.*/, "");
      host = await hostOf(nursery, other, clock, privateKey, listen);
    },
  };
}

function hostOf(
  nursery: Nursery,
  cache: LocalCache,
  clock: Clock,
  privateKey: Identity,
  listen: string,
): Promise<P2pHost> {
  return openP2pHost({
    privateKey,
    nursery,
    clock: systemClock,
    logger: silentLogger,
    authority: createAuthority(),
    methods: [...serveCacheMethods(cache), ...serveReplicaMethods({ store: cache.store, clock })],
    listen: [listen],
    table: createPeerTable({ clock: systemClock }),
  });
}

/** Goes through whichever host the site has at the time. */
export function rpcOf(site: Site): RpcClient {
  return { call: (target, method, input, options) => site.host().rpc.call(target, method, input, options) };
}

/** Waits until `condition` holds; the test's own deadline bounds it. */
export async function eventually(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await settled(1);
}

/** The wall clock of a machine that is set wrong. */
export function skewed(ms: number): Clock {
  return { ...systemClock, epochMs: () => systemClock.epochMs() + ms };
}

/** A test body with a nursery in which hosts live. */
export function within(body: (nursery: Nursery) => Promise<void>): () => Promise<void> {
  return () => withHosts((_open, nursery) => body(nursery));
}
