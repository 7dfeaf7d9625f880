/**
 * libp2p's parts as the DHT gets them: with only those addresses of this node that may be told, and with a bounded store.
 *
 * kad-dht 16.4.5 filters what it tells of others, but provides this node with all addresses it has; and it keeps every
 * record that any peer sends, in memory.
 */
import type { KadDHTComponents } from "@libp2p/kad-dht";
import type { Ping } from "@libp2p/ping";
import type { Multiaddr } from "@multiformats/multiaddr";
import type { Libp2pComponents } from "../../p2p/index.ts";
import { DHT_LIMITS } from "./limits.ts";

/** The parts, guarded. @param mayTell - whether an address of this node may be told to the DHT */
export function guardComponents(
  components: Libp2pComponents,
  mayTell: (address: Multiaddr) => boolean,
): KadDHTComponents {
  const { addressManager, metrics } = components;
  return {
    peerId: components.peerId,
    privateKey: components.privateKey,
    registrar: components.registrar,
    addressManager: overriding(addressManager, "getAddresses", () =>
      addressManager.getAddresses().filter(mayTell),
    ),
    peerStore: components.peerStore,
    ...(metrics && { metrics }),
    connectionManager: components.connectionManager,
    datastore: bounded(components.datastore),
    events: components.events,
    logger: components.logger,
    ping: { ping: async (peer, options) => pingOf(components).ping(peer, options) },
  };
}

type Store = Libp2pComponents["datastore"];

/** The same store, which forgets the oldest keys that were put through here. */
function bounded(store: Store): Store {
  const keys = new Map<string, Parameters<Store["put"]>[0]>();
  return overriding(store, "put", async (key, value, options) => {
    const name = key.toString();
    keys.delete(name);
    keys.set(name, key);
    const [oldest] = keys;
    if (oldest && keys.size > DHT_LIMITS.dhtRecords.value) {
      keys.delete(oldest[0]);
      await store.delete(oldest[1]);
    }
    return store.put(key, value, options);
  });
}

/** `target` with one method replaced; all others are called on `target` itself. */
function overriding<T extends object, K extends keyof T>(target: T, name: K, replacement: T[K]): T {
  return new Proxy(target, {
    get(real, property) {
      if (property === name) return replacement;
      const value: unknown = Reflect.get(real, property);
      return typeof value === "function" ? value.bind(real) : value;
    },
  });
}

/** The ping service, which libp2p makes after this one. */
function pingOf(components: Libp2pComponents): Ping {
  const service: unknown = components["ping"];
  if (!isPing(service)) throw new TypeError("libp2p has no ping service");
  return service;
}

function isPing(service: unknown): service is Ping {
  return typeof service === "object" && service !== null && "ping" in service;
}
