/** The shared cache of a peer. */
import type { PeerTarget, RpcClient } from "../peer/rpc.ts";
import type { SharedCache } from "./cache.ts";
import { cacheMethods } from "./methods.ts";

/** The cache of the peer at `target`. Its errors are those of the peer, with the same codes, and those of the way there. */
export function remoteCache(rpc: RpcClient, target: PeerTarget): SharedCache {
  const m = cacheMethods;
  return {
    get: async (key, options) => (await rpc.call(target, m.get, { key }, options)).entry,
    has: async (key, options) => (await rpc.call(target, m.has, { key }, options)).hit,
    set: async (key, value, ttlMs, options) =>
      (await rpc.call(target, m.set, { key, value, ttlMs }, options)).version,
    delete: async (key, options) => (await rpc.call(target, m.delete, { key }, options)).deleted,
  };
}
