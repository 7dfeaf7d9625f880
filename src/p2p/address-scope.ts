/** From where an address can be reached, as far as the address itself tells. */
import { BlockList, isIP } from "node:net";
import type { Connection } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { InvalidInputError } from "../errors.ts";
import type { AddressClass } from "../peer/trace.ts";
import { isRelayed, parseMultiaddr, peerIdIn } from "./address.ts";

/**
 * How far an address reaches. `special`: a network with a purpose of its own that is not routed on the internet, e.g.
 * multicast; `local-name`: a name that means something on one machine or in one network only; `name`: any other host
 * name, of which nothing is known before it is looked up; `relayed`: through another peer.
 */
export type AddressScope =
  | "wildcard"
  | "loopback"
  | "link-local"
  | "private"
  | "special"
  | "public"
  | "local-name"
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

// A block list judges an IPv6 address that holds an IPv4 one by the rules of the latter, too.
const WILDCARD = subnets(["0.0.0.0", 8, "ipv4"], ["::", 128, "ipv6"]);
const LOOPBACK = subnets(["127.0.0.0", 8, "ipv4"], ["::1", 128, "ipv6"]);
const LINK_LOCAL = subnets(["169.254.0.0", 16, "ipv4"], ["fe80::", 10, "ipv6"]);
/** RFC 1918, RFC 6598 (between providers and their customers) and RFC 4193. */
const PRIVATE = subnets(
  ["10.0.0.0", 8, "ipv4"],
  ["172.16.0.0", 12, "ipv4"],
  ["192.168.0.0", 16, "ipv4"],
  ["100.64.0.0", 10, "ipv4"],
  ["fc00::", 7, "ipv6"],
);
/**
 * The rest of IANA's special-purpose registries that is not routed. The networks for documentation are left out: they
 * stand for public ones wherever somebody writes them.
 */
const SPECIAL = subnets(
  ["192.0.0.0", 24, "ipv4"],
  ["198.18.0.0", 15, "ipv4"],
  ["224.0.0.0", 3, "ipv4"],
  ["2001::", 23, "ipv6"],
  ["2002::", 16, "ipv6"],
);
/** What is routed at all; of IPv6 that is 2000::/3. */
const ROUTED = subnets(["0.0.0.0", 0, "ipv4"], ["2000::", 3, "ipv6"]);

/** RFC 6761, 6762, 8375 and 9476, what routers use, and names without a dot. */
const LOCAL_NAME =
  /(^|\.)(localhost|local|lan|internal|intranet|home|home\.arpa|test|invalid|alt)\.?$|^[^.]*\.?$/i;

/** What a multiaddr leads to. @throws InvalidInputError if it is a text and none */
export function endpointOf(address: string | Multiaddr): Endpoint {
  const parsed = typeof address === "string" ? parseMultiaddr(address) : address;
  const { host, name, after } = startOf(parsed);
  const family = name === "ip4" ? 4 : name === "ip6" ? 6 : undefined;
  if (isRelayed(parsed)) return { scope: "relayed", host, family };
  const [transport, next] = after;
  const plain = transport?.name === "tcp" && (next === undefined || next.name === "p2p");
  const tcpPort = family !== undefined && plain ? Number(transport.value) : undefined;
  return { scope: hostScope(name, host), host, tcpPort, family };
}

/** From where an IP address can be reached; `other` if it is none. */
export function ipScope(ip: string): AddressScope {
  const version = isIP(ip);
  if (version === 0) return "other";
  const type = version === 4 ? "ipv4" : "ipv6";
  if (WILDCARD.check(ip, type)) return "wildcard";
  if (LOOPBACK.check(ip, type)) return "loopback";
  if (LINK_LOCAL.check(ip, type)) return "link-local";
  if (PRIVATE.check(ip, type)) return "private";
  return SPECIAL.check(ip, type) || !ROUTED.check(ip, type) ? "special" : "public";
}

/** Whether an address may be told to the whole internet; one through a relay if the relay's may be. */
export function isPublicAddress(address: string | Multiaddr): boolean {
  const parsed = readable(address);
  if (!parsed) return false;
  const { name, host } = startOf(parsed);
  const scope = hostScope(name, host);
  return scope === "public" || scope === "name";
}

/** Whether a multiaddr leads to this machine's loopback interface and nowhere else; a name or a relay does not. */
export function isLoopbackAddr(address: string | Multiaddr): boolean {
  return endpointOf(address).scope === "loopback";
}

/**
 * Whether the other end of a connection is a process on this machine, as far as its address tells.
 *
 * Only plain TCP counts: a WebSocket from loopback may be a reverse proxy that speaks for the whole internet.
 */
export function isFromThisMachine({ remoteAddr, limits }: Connection): boolean {
  const plain = remoteAddr
    .getComponents()
    .every(({ name }) => name === "ip4" || name === "ip6" || name === "tcp" || name === "p2p");
  return plain && limits === undefined && isLoopbackAddr(remoteAddr);
}

/** Where an address leads, for people and for the order of dialling; a name counts as public if it is not local. */
export function classOf(address: Multiaddr): AddressClass {
  const { scope } = endpointOf(address);
  if (scope === "relayed") return "relay";
  if (scope === "loopback") return "loopback";
  return scope === "private" || scope === "link-local" || scope === "local-name" ? "lan" : "public";
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
  const parsed = readable(text);
  if (!parsed) return undefined;
  const { scope } = endpointOf(parsed);
  if (scope === "wildcard" || scope === "link-local" || scope === "other") return undefined;
  if (scope === "loopback" && !loopback) return undefined;
  const named = peerIdIn(parsed);
  if (named === undefined) return `${text}/p2p/${peerId}`;
  return named === peerId ? text : undefined;
}

/** Addresses come from strangers; one that is none must not hide the good ones. */
function readable(address: string | Multiaddr): Multiaddr | undefined {
  if (typeof address !== "string") return address;
  try {
    return parseMultiaddr(address);
  } catch (error) {
    if (error instanceof InvalidInputError) return undefined;
    throw error;
  }
}

interface Part {
  readonly name: string;
  readonly value?: string | undefined;
}

/** The host of an address, and what comes after it. The zone of a link-local address stands before it. */
function startOf(address: Multiaddr): {
  readonly name: string;
  readonly host: string;
  readonly after: readonly Part[];
} {
  const parts: readonly Part[] = address.getComponents();
  const [first, ...after] = parts[0]?.name === "ip6zone" ? parts.slice(1) : parts;
  return { name: first?.name ?? "", host: first?.value ?? "", after };
}

function hostScope(name: string, host: string): AddressScope {
  if (name === "ip4" || name === "ip6") return ipScope(host);
  if (!name.startsWith("dns")) return "other";
  return LOCAL_NAME.test(host) ? "local-name" : "name";
}

function subnets(...nets: readonly (readonly [string, number, "ipv4" | "ipv6"])[]): BlockList {
  const list = new BlockList();
  for (const [address, prefix, type] of nets) list.addSubnet(address, prefix, type);
  return list;
}
