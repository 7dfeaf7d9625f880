/** From where an address can be reached, as far as the address itself tells. */
import { BlockList, isIP } from "node:net";
import { parseMultiaddr, peerIdIn } from "../p2p/index.ts";

/** `name`: a host name, of which nothing is known before it is looked up; `relayed`: through another peer. */
export type AddressScope =
  | "wildcard"
  | "loopback"
  | "link-local"
  | "private"
  | "public"
  | "name"
  | "relayed"
  | "other";

/** What an address leads to. */
export interface Endpoint {
  readonly scope: AddressScope;
  /** IP address or name at the beginning of the address. */
  readonly host: string;
  /** Port of the address if it is plain TCP to an IP address: `/ip4/…/tcp/…` or `/ip6/…/tcp/…` and nothing more. */
  readonly tcpPort?: number | undefined;
  readonly family: 4 | 6 | undefined;
}

const LOOPBACK = subnets(["127.0.0.0", 8, "ipv4"], ["::1", 128, "ipv6"]);
const LINK_LOCAL = subnets(["169.254.0.0", 16, "ipv4"], ["fe80::", 10, "ipv6"]);
/** RFC 1918, RFC 6598 (carrier NAT) and RFC 4193. */
const PRIVATE = subnets(
  ["10.0.0.0", 8, "ipv4"],
  ["172.16.0.0", 12, "ipv4"],
  ["192.168.0.0", 16, "ipv4"],
  ["100.64.0.0", 10, "ipv4"],
  ["fc00::", 7, "ipv6"],
);
const WILDCARD = subnets(["0.0.0.0", 8, "ipv4"], ["::", 128, "ipv6"]);

/** Reads a multiaddr. @throws InvalidInputError if it is none */
export function endpointOf(text: string): Endpoint {
  const parts = parseMultiaddr(text).getComponents();
  // The zone of a link-local address stands before it.
  const [first, second, third] = parts[0]?.name === "ip6zone" ? parts.slice(1) : parts;
  const host = first?.value ?? "";
  const family = first?.name === "ip4" ? 4 : first?.name === "ip6" ? 6 : undefined;
  if (parts.some(({ name }) => name === "p2p-circuit")) return { scope: "relayed", host, family };
  const plain = second?.name === "tcp" && (third === undefined || third.name === "p2p");
  const tcpPort = family !== undefined && plain ? Number(second.value) : undefined;
  return { scope: family === undefined ? nameScope(first?.name) : ipScope(host), host, tcpPort, family };
}

/** From where an IP address can be reached; `other` if it is none. */
export function ipScope(ip: string): AddressScope {
  const version = isIP(ip);
  if (version === 0) return "other";
  const type = version === 4 ? "ipv4" : "ipv6";
  if (WILDCARD.check(ip, type)) return "wildcard";
  if (LOOPBACK.check(ip, type)) return "loopback";
  if (LINK_LOCAL.check(ip, type)) return "link-local";
  return PRIVATE.check(ip, type) ? "private" : "public";
}

/**
 * An address as others on this network can dial it, ending in `/p2p/<peer id>`.
 *
 * @param loopback - whether the other end is on this machine, so that loopback leads to it. Default false
 * @returns undefined if it cannot be dialled from elsewhere (wildcard, loopback, link-local), is none, or is another
 *   peer's
 */
export function dialable(
  text: string,
  peerId: string,
  { loopback = false }: { readonly loopback?: boolean } = {},
): string | undefined {
  try {
    const { scope } = endpointOf(text);
    const named = peerIdIn(parseMultiaddr(text));
    if (scope === "wildcard" || scope === "link-local" || scope === "other") return undefined;
    if (scope === "loopback" && !loopback) return undefined;
    if (named === undefined) return `${text}/p2p/${peerId}`;
    return named === peerId ? text : undefined;
  } catch {
    // Addresses come from strangers; one that is none must not hide the good ones.
    return undefined;
  }
}

function nameScope(protocol: string | undefined): AddressScope {
  return protocol?.startsWith("dns") ? "name" : "other";
}

function subnets(...nets: readonly (readonly [string, number, "ipv4" | "ipv6"])[]): BlockList {
  const list = new BlockList();
  for (const [address, prefix, type] of nets) list.addSubnet(address, prefix, type);
  return list;
}
