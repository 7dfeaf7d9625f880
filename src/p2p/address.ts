/** What a multiaddr says about where a peer is. */
import type { Connection } from "@libp2p/interface";
import { type Component, type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { InvalidInputError } from "../errors.ts";
import type { AddressClass } from "../peer/trace.ts";

/** 127.0.0.0/8, the loopback network of IPv4. */
const LOOPBACK_IP4 = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;

/**
 * Reads a multiaddr.
 *
 * @throws InvalidInputError with the text, if it is none
 */
export function parseMultiaddr(text: string): Multiaddr {
  try {
    return multiaddr(text);
  } catch (cause) {
    throw new InvalidInputError(`'${text}' is no multiaddr`, {
      cause,
      hint: "it looks like /ip4/192.0.2.1/tcp/9710/p2p/12D3Koo…",
    });
  }
}

/** Whether an address, or the other end of a connection, is reached through a relay. */
export function isRelayed(address: Multiaddr): boolean {
  return address.getComponents().some(({ name }) => name === "p2p-circuit");
}

/**
 * The relay of an address that leads through one, as an address; undefined for all others, and where the relay has no
 * peer id.
 */
export function relayIn(address: Multiaddr): Multiaddr | undefined {
  if (!isRelayed(address)) return undefined;
  const relay = address.decapsulate("/p2p-circuit");
  return peerIdIn(relay) === undefined ? undefined : relay;
}

/** The peer id at the end of a multiaddr, if it has one; a relay's id does not count. */
export function peerIdIn(address: Multiaddr): string | undefined {
  const last = address.getComponents().at(-1);
  return last?.name === "p2p" ? last.value : undefined;
}

/** With the id in the address, libp2p refuses any other peer before a stream is opened. */
export function nameAddress(address: Multiaddr, peerId: string | undefined): Multiaddr {
  return peerId === undefined || peerIdIn(address) !== undefined
    ? address
    : address.encapsulate(`/p2p/${peerId}`);
}

/** Whether a multiaddr leads to this machine's loopback interface and nowhere else; a name or a relay does not. */
export function isLoopbackAddr(text: string): boolean {
  return isLoopback(parseMultiaddr(text).getComponents());
}

/**
 * Whether the other end of a connection is a process on this machine, as far as its address tells.
 *
 * Only plain TCP counts: a WebSocket from loopback may be a reverse proxy that speaks for the whole internet.
 */
export function isFromThisMachine(connection: Connection): boolean {
  const parts = connection.remoteAddr.getComponents();
  const plain = parts.every(
    ({ name }) => name === "ip4" || name === "ip6" || name === "tcp" || name === "p2p",
  );
  return plain && connection.limits === undefined && isLoopback(parts);
}

/**
 * Networks that are not routed on the internet: RFC 1918, RFC 6598 (between providers and their customers), RFC 3927
 * (link-local), and of IPv6 RFC 4193 (unique local) and link-local.
 */
const LOCAL_IP4 =
  /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|169\.254\.)/;
const LOCAL_IP6 = /^(f[cd][0-9a-f]{2}|fe[89ab][0-9a-f]):/i;

/** Where an address leads, as far as it says; a name counts as public. */
export function classOf(address: Multiaddr): AddressClass {
  const parts = address.getComponents();
  if (parts.some(({ name }) => name === "p2p-circuit")) return "relay";
  if (isLoopback(parts)) return "loopback";
  const host = parts.find(({ name }) => name === "ip4" || name === "ip6" || name.startsWith("dns"));
  const text = host?.value ?? "";
  if (host?.name === "ip4") return LOCAL_IP4.test(text) ? "lan" : "public";
  return LOCAL_IP6.test(text) || text.endsWith(".local") ? "lan" : "public";
}

function isLoopback(parts: readonly Component[]): boolean {
  const [host] = parts;
  if (!host || parts.some(({ name }) => name === "p2p-circuit")) return false;
  if (host.name === "ip4") return LOOPBACK_IP4.test(host.value ?? "");
  return host.name === "ip6" && host.value === "::1";
}
