/** Asks the router of the local network, by UPnP, to let others in. */
import { uPnPNAT } from "@libp2p/upnp-nat";
import type { Mechanism } from "../mechanism.ts";

/** Port mappings at the router, with the public address that they give. */
export function upnp(): Mechanism {
  return { name: "upnp", services: { upnp: uPnPNAT({ autoConfirmAddress: true }) } };
}
