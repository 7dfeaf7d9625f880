/** Names of DNS-SD services and of what belongs to them. */

/** What every libp2p implementation announces itself as, and py-libp2p in its own format, too. */
export const LIBP2P_SERVICE = "_p2p._udp.local";
/** What the nodes of the Python MCP++ module announce; only read. */
export const MCP_ACCELERATE_SERVICE = "_mcp-accelerate._tcp.local";
/** Asks which services there are (RFC 6763, section 9). */
export const SERVICES_META = "_services._dns-sd._udp.local";

/** The form of a service's name, e.g. `_p2p._udp.local`. */
export const SERVICE_NAME: RegExp = /^_[a-z0-9-]{1,62}\._(tcp|udp)\.local\.?$/i;

/** A name as it is compared: DNS knows no case, and the dot at the end is a matter of taste. */
export function canonicalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
