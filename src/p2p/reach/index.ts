/** The shelf of ways to be reached: one file each, one line here. */
import type { Mechanism } from "../mechanism.ts";
import { ownAddresses } from "./addresses.ts";
import { holePunch } from "./hole-punch.ts";
import { relayClient } from "./relay-client.ts";
import { relayServer, type RelayServerOptions } from "./relay-server.ts";

export type { RelayLimits, RelayServerOptions } from "./relay-server.ts";

/** How a node is reached. */
export interface ReachConfig {
  /** Absent: this node is no relay. */
  readonly relay?: RelayServerOptions | undefined;
  /** Relays at which this node keeps a place, each with its peer id at the end. */
  readonly relayVia: readonly string[];
  /** Whether relayed connections become direct ones where that is possible. */
  readonly holePunch: boolean;
  /** Whether public addresses are told only after peers have dialled them back. */
  readonly autonat: boolean;
  /** Whether the router is asked to let others in. */
  readonly upnp: boolean;
}

/** The mechanisms that `config` asks for. */
export async function createReach({
  relay,
  relayVia,
  holePunch: punches,
  autonat,
  upnp,
}: ReachConfig): Promise<readonly Mechanism[]> {
  return [
    ownAddresses(!autonat),
    relayClient(relayVia),
    ...(punches ? [holePunch()] : []),
    ...(relay ? [relayServer(relay)] : []),
    ...(autonat ? [(await import("./autonat.ts")).autonat()] : []),
    // Seldom wanted, and slow to load.
    ...(upnp ? [(await import("./upnp.ts")).upnp()] : []),
  ];
}
