/**
 * What others say of themselves on the local network, as long as it holds.
 *
 * Everything here comes from strangers: it is bounded in number and time, each instance belongs to the address that
 * named it first, and what it says is a hint that proves nothing.
 */
import { peerIdFromString } from "@libp2p/peer-id";
import type { Answer, Packet, Question } from "dns-packet";
import type { Clock } from "../../clock.ts";
import type { PeerHint } from "../../peer/discovery.ts";
import { dialable, ipScope } from "../../p2p/index.ts";
import { RECORD_TTL_S } from "./answer.ts";
import { MDNS_LIMITS } from "./limits.ts";
import { canonicalName } from "./name.ts";

const {
  mdnsInstances: { value: MAX_INSTANCES },
  mdnsInstancesPerSource: { value: MAX_PER_SOURCE },
  mdnsRecords: { value: MAX_RECORDS },
  mdnsStrings: { value: MAX_STRINGS },
  mdnsAddresses: { value: MAX_ADDRESSES },
} = MDNS_LIMITS;
/** A name or string longer than DNS allows is none. */
const MAX_NAME_CHARS = 255;
/** Questions about instances of which parts are missing, in one packet. */
const MAX_MISSING = 8;
/** What was asked for this often and not said is not asked for again. */
const MAX_ASKED = 2;

/** Where a packet came from. */
export interface PacketSource {
  readonly address: string;
}

/** What is listened for. */
export interface HeardOptions {
  readonly services: readonly string[];
  readonly method: string;
  readonly clock: Clock;
}

interface Instance {
  readonly name: string;
  readonly source: string;
  until: number;
  strings: readonly string[];
  port: number;
  target: string;
  addresses: readonly string[];
  /** How often its missing parts were asked for. */
  asked: number;
}

/** Instances and what they say. */
export class Heard {
  readonly #instances = new Map<string, Instance>();
  readonly #services: ReadonlySet<string>;
  readonly #options: HeardOptions;

  constructor(options: HeardOptions) {
    this.#options = options;
    this.#services = new Set(options.services.map(canonicalName));
  }

  /** How many instances are remembered. */
  get size(): number {
    return this.#instances.size;
  }

  /** Reads a response. @returns whether it said anything of ours */
  take(packet: Packet, { address }: PacketSource): boolean {
    this.#forgetOld();
    const records = [...(packet.answers ?? []), ...(packet.additionals ?? [])].slice(0, MAX_RECORDS);
    // In this order, because each kind says what the next one belongs to.
    const named = records.filter((record) => this.#takePointer(record, address)).length;
    const strings = new Map<Instance, string[]>();
    const addresses = new Map<string, string[]>();
    for (const record of records) this.#takeInstance(record, address, strings);
    for (const record of records) gatherAddress(record, addresses);
    for (const [instance, found] of strings) instance.strings = found.slice(0, MAX_STRINGS);
    for (const instance of this.#instances.values()) {
      const found = instance.source === address ? addresses.get(instance.target) : undefined;
      if (found) instance.addresses = found.slice(0, MAX_ADDRESSES);
    }
    return named + strings.size + addresses.size > 0;
  }

  /** The peers that can be dialled, in the order in which they were first heard of. */
  hints(wanted: string | undefined): readonly PeerHint[] {
    this.#forgetOld();
    const byPeer = new Map<string, string[]>();
    for (const instance of this.#instances.values()) {
      const peerId = peerIdOf(instance);
      if (peerId === undefined || (wanted !== undefined && peerId !== wanted)) continue;
      const known = byPeer.get(peerId) ?? [];
      const fresh = addressesOf(instance, peerId).filter((address) => !known.includes(address));
      if (known.length + fresh.length > 0) byPeer.set(peerId, [...known, ...fresh].slice(0, MAX_ADDRESSES));
    }
    const { method } = this.#options;
    return [...byPeer].map(([peerId, multiaddrs]) => ({ peerId, multiaddrs, method }));
  }

  /** Whether there is something to ask for, see {@link Heard.questions}. */
  get isMissingParts(): boolean {
    return this.#incomplete().length > 0;
  }

  /** Questions for what is missing of instances that were named only; each counts as asked. */
  questions(): readonly Question[] {
    return this.#incomplete().flatMap((instance): Question[] => {
      instance.asked += 1;
      const { name, target } = instance;
      return [
        { type: "SRV", name },
        { type: "TXT", name },
        ...(target === "" ? [] : [{ type: "A", name: target } as const]),
      ];
    });
  }

  #incomplete(): readonly Instance[] {
    this.#forgetOld();
    return [...this.#instances.values()]
      .filter((one) => one.asked < MAX_ASKED && (peerIdOf(one) === undefined || noAddress(one)))
      .slice(0, MAX_MISSING);
  }

  #takePointer(record: Answer, source: string): boolean {
    if (record.type !== "PTR" || !this.#services.has(canonicalName(record.name))) return false;
    const name = canonicalName(record.data);
    const known = this.#instances.get(name);
    if (known && known.source !== source) return false;
    const ttl = record.ttl ?? 0;
    if (ttl <= 0) return this.#instances.delete(name);
    const until = this.#options.clock.now() + Math.min(ttl, RECORD_TTL_S) * 1000;
    if (known) known.until = until;
    else if (this.#hasRoomFor(name, source)) {
      const empty = { strings: [], port: 0, target: "", addresses: [], asked: 0 };
      this.#instances.set(name, { name, source, until, ...empty });
    }
    return true;
  }

  #hasRoomFor(name: string, source: string): boolean {
    if (name.length > MAX_NAME_CHARS || this.#instances.size >= MAX_INSTANCES) return false;
    let sameSource = 0;
    for (const instance of this.#instances.values()) if (instance.source === source) sameSource += 1;
    return sameSource < MAX_PER_SOURCE;
  }

  #takeInstance(record: Answer, source: string, strings: Map<Instance, string[]>): void {
    if (record.type !== "TXT" && record.type !== "SRV") return;
    const instance = this.#instances.get(canonicalName(record.name));
    if (!instance || instance.source !== source || (record.ttl ?? 0) <= 0) return;
    if (record.type === "SRV") {
      instance.port = record.data.port;
      instance.target = canonicalName(record.data.target);
    } else strings.set(instance, [...(strings.get(instance) ?? []), ...stringsOf(record.data)]);
  }

  #forgetOld(): void {
    const now = this.#options.clock.now();
    for (const [name, { until }] of this.#instances) if (until <= now) this.#instances.delete(name);
  }
}

function gatherAddress(record: Answer, addresses: Map<string, string[]>): void {
  if ((record.type !== "A" && record.type !== "AAAA") || (record.ttl ?? 0) <= 0) return;
  const host = canonicalName(record.name);
  addresses.set(host, [...(addresses.get(host) ?? []), record.data]);
}

function stringsOf(data: string | Buffer | readonly (string | Buffer)[]): readonly string[] {
  const parts = typeof data === "string" || Buffer.isBuffer(data) ? [data] : data;
  return parts.map(String);
}

function valueOf({ strings }: Instance, ...keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const found = strings.find((text) => text.toLowerCase().startsWith(`${key}=`));
    if (found !== undefined) return found.slice(key.length + 1);
  }
  return undefined;
}

/** Of libp2p: in the addresses. Of py-libp2p: `id`. Of the MCP++ module: `peer_id`. */
function peerIdOf(instance: Instance): string | undefined {
  const inAddress = /\/p2p\/([^/]+)$/.exec(valueOf(instance, "dnsaddr") ?? "")?.[1];
  const candidates = [inAddress, valueOf(instance, "id", "peer_id")];
  return candidates.find((text) => text !== undefined && isPeerId(text));
}

function addressesOf(instance: Instance, peerId: string): readonly string[] {
  const loopback = ipScope(instance.source) === "loopback";
  const said = instance.strings
    .filter((text) => /^(dnsaddr|multiaddr)=/i.test(text))
    .map((text) => text.slice(text.indexOf("=") + 1));
  const plain = instance.addresses.map(
    (ip) => `/${ip.includes(":") ? "ip6" : "ip4"}/${ip}/tcp/${instance.port}`,
  );
  const all = said.length > 0 ? said : instance.port > 0 ? plain : [];
  return [...new Set(all.flatMap((text) => dialable(text, peerId, { loopback }) ?? []))];
}

function noAddress(instance: Instance): boolean {
  return addressesOf(instance, peerIdOf(instance) ?? "").length === 0;
}

function isPeerId(text: string): boolean {
  try {
    peerIdFromString(text);
    return true;
  } catch {
    // Said by a stranger: what is no peer id names nobody.
    return false;
  }
}
