/** Which addresses mean something to whoever reads them on the internet. */
import { BlockList, isIP } from "node:net";
import { InvalidInputError } from "../../errors.ts";
import { parseMultiaddr } from "../../p2p/index.ts";

/** Networks that lead nowhere or somewhere else for everybody else: IANA special-purpose address registries. */
const LOCAL_IP4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 3],
];
const LOCAL_IP6: readonly (readonly [string, number])[] = [
  ["::", 127],
  ["64:ff9b:1::", 48],
  ["fc00::", 7],
  ["fe80::", 9],
  ["ff00::", 8],
];
/** Names that resolve on one machine or in one network only: RFC 6761, 6762, 8375 and 9476, and what routers use. */
const LOCAL_NAME = /(^|\.)(localhost|local|lan|internal|intranet|home|home\.arpa|test|invalid|alt)\.?$/i;

const local = new BlockList();
// A block list judges an IPv6 address that holds an IPv4 one by the rules of the latter.
for (const [network, bits] of LOCAL_IP4) local.addSubnet(network, bits, "ipv4");
for (const [network, bits] of LOCAL_IP6) local.addSubnet(network, bits, "ipv6");

/** Whether a multiaddr begins at a public IP address or a public name; one through a relay begins at the relay. */
export function isPublicAddress(text: string): boolean {
  const [host] = components(text);
  if (!host?.value) return false;
  if (host.name === "ip4" || host.name === "ip6") {
    const version = isIP(host.value);
    return version !== 0 && !local.check(host.value, version === 4 ? "ipv4" : "ipv6");
  }
  const isName = ["dns", "dns4", "dns6", "dnsaddr"].includes(host.name);
  return isName && host.value.includes(".") && !LOCAL_NAME.test(host.value);
}

function components(text: string): readonly { readonly name: string; readonly value?: string | undefined }[] {
  try {
    return parseMultiaddr(text).getComponents();
  } catch (error) {
    if (error instanceof InvalidInputError) return [];
    throw error;
  }
}
