/** Which addresses may be told to the whole internet. */
import { BlockList, isIP } from "node:net";
import type { PeerInfo } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";

/** Networks that are not routed on the internet (IANA special-purpose address registries), and IPv6 with them inside. */
const NOT_PUBLIC = new BlockList();
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const)
  NOT_PUBLIC.addSubnet(network, bits, "ipv4");
/** What is routed of IPv6 is 2000::/3, without these parts of it. */
const PUBLIC_IP6 = new BlockList();
PUBLIC_IP6.addSubnet("2000::", 3, "ipv6");
for (const [network, bits] of [
  ["2001:db8::", 32],
  ["2001::", 23],
  ["2002::", 16],
  ["3fff::", 20],
] as const)
  NOT_PUBLIC.addSubnet(network, bits, "ipv6");

/** Names that mean something in a local network only. */
const LOCAL_NAME = /(^|\.)(localhost|local|lan|home|internal|intranet|home\.arpa)\.?$|^[^.]*\.?$/i;

/** Whether an address leads somewhere on the internet; one over a relay does if the relay's does. */
export function isPublicAddress(address: Multiaddr): boolean {
  const parts = address.getComponents().filter(({ name }) => name !== "ip6zone");
  const [host] = parts;
  const value = host?.value ?? "";
  if (host?.name === "ip4") return isIP(value) === 4 && !NOT_PUBLIC.check(value, "ipv4");
  if (host?.name === "ip6")
    return isIP(value) === 6 && PUBLIC_IP6.check(value, "ipv6") && !NOT_PUBLIC.check(value, "ipv6");
  return host?.name.startsWith("dns") === true && !LOCAL_NAME.test(value);
}

/** What may be told of a peer. */
export function removePrivateAddresses(peer: PeerInfo): PeerInfo {
  return { ...peer, multiaddrs: peer.multiaddrs.filter(isPublicAddress) };
}
