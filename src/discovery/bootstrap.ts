/** Peers whose addresses the configuration names. */
import { ConfigError } from "../errors.ts";
import { parseMultiaddr, peerIdIn } from "../p2p/index.ts";
import type { Discovery, PeerHint } from "../peer/discovery.ts";

/**
 * A discovery that always finds the listed addresses.
 *
 * @param addresses - multiaddrs; one without `/p2p/<id>` is only used when any peer will do
 * @throws ConfigError if one is no multiaddr
 */
export function bootstrapDiscovery(addresses: readonly string[]): Discovery {
  const hints = addresses.map(hintOf);
  return {
    name: "bootstrap",
    find: (peerId) => Promise.resolve(hints.filter((hint) => peerId === undefined || hint.peerId === peerId)),
  };
}

function hintOf(text: string): PeerHint {
  try {
    return { peerId: peerIdIn(parseMultiaddr(text)), multiaddrs: [text], method: "bootstrap" };
  } catch (cause) {
    throw new ConfigError("bootstrap", text, "must be a multiaddr", { cause });
  }
}
