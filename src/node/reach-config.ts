/** How others reach a node. */
import type { NodeConfig } from "../config.ts";
import type { ReachConfig } from "../p2p/index.ts";

/** A mebibyte. */
const MIB = 1024 * 1024;

/** How the configuration wants the node to be reached. */
export function reachOf(config: NodeConfig): ReachConfig {
  const { relayFor, relayVia, holePunch, autonat, upnp } = config;
  const limits = {
    reservations: config.relayReservations,
    reservationMs: config.relayReservationMs,
    connectionBytes: config.relayConnectionMib * MIB,
    connectionMs: config.relayConnectionMs,
  };
  return { relay: config.relay ? { limits, relayFor } : undefined, relayVia, holePunch, autonat, upnp };
}
