/** Reading multiaddrs; how far they reach is in `address-scope.ts`. */
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { InvalidInputError } from "../errors.ts";

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
