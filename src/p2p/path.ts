/**
 * How a peer is reached: straight, or through a relay.
 *
 * The address of a connection decides, not its limits: a relay that sets none would pass for a direct connection.
 */
import type { Connection, Libp2p, PeerId } from "@libp2p/interface";
import { isRelayed } from "./address.ts";

/** How a connection runs. */
export function pathOf(connection: Connection): "direct" | "relayed" {
  return isRelayed(connection.remoteAddr) ? "relayed" : "direct";
}

/** The open connection to a peer that calls should take: a direct one before a relayed one. */
export function bestConnection(libp2p: Libp2p, peer: PeerId): Connection | undefined {
  const open = libp2p.getConnections(peer).filter(({ status }) => status === "open");
  return open.find((connection) => pathOf(connection) === "direct") ?? open[0];
}
