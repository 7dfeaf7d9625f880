/**
 * What a node says of itself on the local network, in one set of records that all kinds of peers can read.
 *
 * - libp2p (github.com/libp2p/specs, discovery/mdns.md): a PTR to a random instance whose TXT holds `dnsaddr=` strings.
 * - py-libp2p and so the seed (contract.md 3.6): TXT `id`, the port in SRV, one A record, and nothing else.
 * - DNS-SD browsers and go-libp2p want SRV and an address, too.
 *
 * The address of SRV and A is one at which plain TCP is listened on; without one, neither is said.
 */
import type { Answer, Packet } from "dns-packet";
import { encodingLength } from "dns-packet";
import { dialable, type Endpoint, endpointOf } from "../../p2p/index.ts";
import { canonicalName, SERVICES_META } from "./name.ts";

/** How long others may believe it, in seconds: two minutes, by libp2p's specification. */
export const RECORD_TTL_S = 120;
/** A packet of this size passes every network unfragmented. */
const MAX_PACKET_BYTES = 1232;
/** One string of a TXT record (RFC 1035). */
const MAX_TXT_BYTES = 255;
/** The header bit that makes a response one of a name's owner. */
const AUTHORITATIVE = 1 << 10;

/** Who is announced. */
export interface Announced {
  readonly service: string;
  /** A random label, so that names never collide; 63 characters, as libp2p and py-libp2p have. */
  readonly instance: string;
  readonly peerId: string;
  readonly multiaddrs: readonly string[];
  /** Whether loopback addresses are said: only where nobody but this machine listens. */
  readonly loopback: boolean;
}

/**
 * The packet that announces a node on an interface.
 *
 * @param near - the interface's own addresses; one of them is preferred where only one can be said
 * @returns undefined if the node cannot be reached through this network
 */
export function announcement(announced: Announced, near: readonly string[]): Packet | undefined {
  const { peerId, multiaddrs, loopback } = announced;
  const addresses = multiaddrs.flatMap((text) => {
    const address = dialable(text, peerId, { loopback });
    return address === undefined || endpointOf(address).scope === "relayed" ? [] : address;
  });
  if (addresses.length === 0) return undefined;
  const endpoint = plainEndpoint(addresses, near);
  const strings = [
    ...(endpoint ? [`id=${peerId}`] : []),
    ...addresses.map((address) => `dnsaddr=${address}`).filter((text) => text.length <= MAX_TXT_BYTES),
  ];
  for (;;) {
    const packet = packetOf(announced, strings, endpoint);
    // The best addresses come first; those that do not fit are learnt from the node itself.
    if (encodingLength(packet) <= MAX_PACKET_BYTES || strings.length <= 1) return packet;
    strings.pop();
  }
}

/** The packet that takes an announcement back. */
export function farewell({ service, instance }: Pick<Announced, "service" | "instance">): Packet {
  const answers: Answer[] = [{ type: "PTR", name: service, ttl: 0, data: `${instance}.${service}` }];
  return { type: "response", id: 0, flags: AUTHORITATIVE, answers };
}

/** Whether a packet asks for what is announced, and does not know it yet. */
export function asksFor(packet: Packet, announced: Pick<Announced, "service" | "instance">): boolean {
  const { service, instance } = announced;
  const name = `${instance}.${service}`;
  const names = new Set([service, name, hostOf(instance), SERVICES_META].map(canonicalName));
  const asked = (packet.questions ?? []).filter((question) => names.has(canonicalName(question.name)));
  if (asked.length === 0) return false;
  const known = (packet.answers ?? []).some(
    (answer) =>
      answer.type === "PTR" &&
      canonicalName(answer.data) === canonicalName(name) &&
      (answer.ttl ?? 0) >= RECORD_TTL_S / 2,
  );
  // Who knows the instance may still ask for its parts.
  return !known || asked.some((question) => canonicalName(question.name) !== canonicalName(service));
}

function packetOf(
  { service, instance }: Announced,
  strings: readonly string[],
  endpoint: Endpoint | undefined,
): Packet {
  const ttl = RECORD_TTL_S;
  const name = `${instance}.${service}`;
  const target = hostOf(instance);
  const answers: Answer[] = [
    { type: "PTR", name: service, ttl, data: name },
    { type: "TXT", name, ttl, flush: true, data: [...strings] },
  ];
  if (endpoint?.tcpPort !== undefined) {
    const { tcpPort: port, family, host } = endpoint;
    answers.push({ type: "SRV", name, ttl, flush: true, data: { port, target, priority: 0, weight: 0 } });
    answers.push({ type: family === 6 ? "AAAA" : "A", name: target, ttl, flush: true, data: host });
  }
  // Not among the answers: @libp2p/mdns takes the last pointer there for the instance.
  const additionals: Answer[] = [{ type: "PTR", name: SERVICES_META, ttl, data: service }];
  return { type: "response", id: 0, flags: AUTHORITATIVE, answers, additionals };
}

/** The host name of an instance; its own, so that it never says anything about another. */
function hostOf(instance: string): string {
  return `${instance.slice(0, 32)}.local`;
}

/** The one address for readers that take only one: IPv4 before IPv6, of this interface before another's. */
function plainEndpoint(addresses: readonly string[], near: readonly string[]): Endpoint | undefined {
  const plain = addresses.map(endpointOf).filter(({ tcpPort }) => tcpPort !== undefined && tcpPort > 0);
  const v4 = plain.filter(({ family }) => family === 4);
  return (
    v4.find(({ host }) => near.includes(host)) ??
    v4[0] ??
    plain.find(({ host }) => near.includes(host)) ??
    plain[0]
  );
}
