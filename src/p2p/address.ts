/** What a multiaddr says about where a peer is. */
import type { Connection } from "@libp2p/interface";
import { type Component, type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { InvalidInputError } from "../errors.ts";

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

/** The peer id at the end of a multiaddr, if it has one; a relay's id does not count. */
export function peerIdIn(address: Multiaddr): string | undefined {
  const last = address.getComponents().at(-1);
  return last?.name === "p2p" ? last.value : undefined;
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

function isLoopback(parts: readonly Component[]): boolean {
  const [host] = parts;
  if (!host || parts.some(({ name }) => name === "p2p-circuit")) return false;
  if (host.name === "ip4") return LOOPBACK_IP4.test(host.value ?? "");
  return host.name === "ip6" && host.value === "::1";
}
