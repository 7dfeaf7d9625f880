/** The shared cache of a peer. */
import { type Clock, systemClock } from "../clock.ts";
import type { CallOptions, PeerTarget, RpcClient, RpcOptions } from "../peer/rpc.ts";
import type { SharedCache } from "./cache.ts";
import { type FlightDesk, getOrCompute } from "./compute.ts";
import { cacheMethods } from "./methods.ts";

/** How much later than the end of a wait its answer may arrive: time to dial and to travel. */
const ANSWER_SLACK_MS = 10_000;

/**
 * The cache of the peer at `target`. Its errors are those of the peer, with the same codes, and those of the way there.
 *
 * @param clock - measures waits. Default: the machine's
 */
export function remoteCache(rpc: RpcClient, target: PeerTarget, clock: Clock = systemClock): SharedCache {
  const m = cacheMethods;
  const desk = remoteDesk(rpc, target);
  return {
    get: async (key, options) => (await rpc.call(target, m.get, { key }, options)).entry,
    has: async (key, options) => (await rpc.call(target, m.has, { key }, options)).hit,
    set: async (key, value, ttlMs, options) =>
      (await rpc.call(target, m.set, { key, value, ttlMs }, options)).version,
    delete: async (key, options) => (await rpc.call(target, m.delete, { key }, options)).deleted,
    stats: (options) => rpc.call(target, m.stats, {}, options),
    getOrCompute: (key, compute, options) => getOrCompute(desk, clock, key, compute, options),
  };
}

function remoteDesk(rpc: RpcClient, target: PeerTarget): FlightDesk {
  const m = cacheMethods;
  return {
    claim: async (key, times, options) =>
      (await rpc.call(target, m.claim, { key, ...times }, waiting(options, times.waitMs))).claimed,
    hold: async (key, token, times, options) =>
      (await rpc.call(target, m.hold, { key, token, ...times }, waiting(options, times.waitMs))).held,
    settle: async (key, token, value, ttlMs, options) =>
      (await rpc.call(target, m.settle, { key, token, value, ttlMs }, options)).version,
    drop: async (key, token, options) => void (await rpc.call(target, m.drop, { key, token }, options)),
  };
}

function waiting(options: CallOptions | undefined, waitMs: number): RpcOptions {
  return { signal: options?.signal, timeoutMs: waitMs + ANSWER_SLACK_MS };
}
