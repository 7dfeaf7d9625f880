/**
 * Multicast DNS packets on all interfaces: one UDP socket for each IP version, whatever interfaces come and go.
 *
 * Port 5353 is shared with everything else on the machine that speaks multicast DNS (RFC 6762, section 15.1). Packets
 * that are too large, too many, not DNS, or from beyond the local networks are dropped before anybody reads them.
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { BlockList } from "node:net";
import { networkInterfaces, type NetworkInterfaceInfo } from "node:os";
import { decode, encode, type Packet } from "dns-packet";
import type { Logger } from "../../logger.ts";
import { MDNS_LIMITS } from "./limits.ts";

/** Where multicast DNS is (RFC 6762). */
export const MDNS_PORT = 5353;
const GROUP_4 = "224.0.0.251";
const GROUP_6 = "ff02::fb";
/** The hop limit that every sender uses. */
const HOPS = 255;
/** On the loopback interface nothing may ever leave the machine. */
const NO_HOPS = 0;
const {
  mdnsPacketBytes: { value: MAX_PACKET_BYTES },
  mdnsPacketsPerSecond: { value: MAX_PACKETS_PER_SECOND },
} = MDNS_LIMITS;

/** An interface that packets are sent through. */
export interface Interface {
  readonly name: string;
  /** Its own addresses. */
  readonly addresses: readonly string[];
}

/** What the sockets are for. */
export interface MdnsSocketOptions {
  readonly port: number;
  /** Only the loopback interface, instead of all others. */
  readonly loopback: boolean;
  readonly logger: Logger;
  /** Is called for each packet that can be read. */
  onPacket(packet: Packet, source: { readonly address: string; readonly port: number }): void;
}

/** Open sockets. */
export interface MdnsSocket {
  /** The names of the interfaces that are used, and of those that are not, with the reason. */
  interfaces(): { readonly used: readonly string[]; readonly skipped: ReadonlyMap<string, string> };
  /** Takes up interfaces that have come, and lets those go that are gone. */
  refresh(): void;
  /** Sends through every interface what `packetFor` makes for it. Failures are logged, since a packet may always be lost. */
  send(packetFor: (through: Interface) => Packet | undefined): Promise<void>;
  close(): Promise<void>;
}

/** @throws the system's error if not even IPv4 can be listened on */
export async function openMdnsSocket(options: MdnsSocketOptions): Promise<MdnsSocket> {
  const v4 = await openFamily("udp4", options);
  const families = [v4];
  try {
    // The loopback interface has no IPv6 multicast route where IPv6 is off, and IPv4 reaches everybody there.
    if (!options.loopback) families.push(await openFamily("udp6", options));
  } catch (error) {
    options.logger.debug({ err: error }, "no multicast DNS over IPv6");
  }
  return {
    interfaces() {
      const used = [...new Set(families.flatMap((family) => family.used))];
      const skipped = families.flatMap((family) => [...family.skipped]);
      return { used, skipped: new Map(skipped.filter(([name]) => !used.includes(name))) };
    },
    refresh: () => families.forEach((family) => family.refresh()),
    async send(packetFor) {
      for (const family of families) await family.send(packetFor);
    },
    async close() {
      for (const family of families) await family.close();
    },
  };
}

async function openFamily(type: "udp4" | "udp6", options: MdnsSocketOptions): Promise<Family> {
  const socket = createSocket({ type, reuseAddr: true, ipv6Only: type === "udp6" });
  try {
    socket.bind(options.port);
    await once(socket, "listening");
    return new Family(socket, type, options);
  } catch (error) {
    socket.close();
    throw error;
  }
}

interface Joined extends Interface {
  /** How the system names the interface when a group is joined. */
  readonly id: string;
}

class Family {
  readonly #socket: Socket;
  readonly #v6: boolean;
  readonly #options: MdnsSocketOptions;
  #interfaces = new Map<string, Joined>();
  /** Interfaces that are not used, with the reason. */
  skipped: ReadonlyMap<string, string> = new Map();
  #near = new BlockList();
  #second = 0;
  #packets = 0;

  constructor(socket: Socket, type: "udp4" | "udp6", options: MdnsSocketOptions) {
    this.#socket = socket;
    this.#v6 = type === "udp6";
    this.#options = options;
    socket.on("error", (error) => options.logger.debug({ err: error }, "the multicast DNS socket failed"));
    socket.on("message", (bytes, { address, port }) => this.#receive(bytes, address, port));
    socket.setMulticastTTL(options.loopback ? NO_HOPS : HOPS);
    // Other nodes of this machine listen, too.
    socket.setMulticastLoopback(true);
    this.refresh();
  }

  get used(): readonly string[] {
    return [...this.#interfaces.values()].map(({ name }) => name);
  }

  refresh(): void {
    const there = new Map<string, Joined>();
    const skipped = new Map<string, string>();
    this.#near = new BlockList();
    if (this.#v6) this.#near.addSubnet("fe80::", 10, "ipv6");
    for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
      const own = addresses.filter((one) => this.#uses(one));
      const [first] = own;
      if (!first) {
        skipped.set(name, this.#whyNot(addresses));
        continue;
      }
      for (const { cidr } of own) this.#addNear(cidr);
      const id = this.#v6 ? `::%${name}` : first.address;
      const joined = { name, id, addresses: addresses.map(({ address }) => address) };
      if (this.#interfaces.has(id) || this.#join(joined)) there.set(id, joined);
      else skipped.set(name, "it does not take part in multicast");
    }
    // What is gone the system has left by itself.
    this.#interfaces = there;
    this.skipped = skipped;
  }

  async send(packetFor: (through: Interface) => Packet | undefined): Promise<void> {
    for (const joined of this.#interfaces.values()) {
      const packet = packetFor(joined);
      if (packet) await this.#sendThrough(joined, encode(packet));
    }
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }

  #uses({ family, internal }: NetworkInterfaceInfo): boolean {
    return family === (this.#v6 ? "IPv6" : "IPv4") && internal === this.#options.loopback;
  }

  #whyNot(addresses: readonly NetworkInterfaceInfo[]): string {
    const { loopback } = this.#options;
    if (addresses.every(({ internal }) => internal !== loopback))
      return loopback ? "not loopback" : "loopback";
    return `no ${this.#v6 ? "IPv6" : "IPv4"} address`;
  }

  #addNear(cidr: string | null): void {
    const [net, prefix] = cidr?.split("/") ?? [];
    if (net !== undefined && prefix !== undefined)
      this.#near.addSubnet(net, Number(prefix), this.#v6 ? "ipv6" : "ipv4");
  }

  #join(joined: Joined): boolean {
    try {
      this.#socket.addMembership(this.#v6 ? GROUP_6 : GROUP_4, joined.id);
      return true;
    } catch (error) {
      // EADDRINUSE: joined already, under an address that the interface had for a moment.
      if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") return true;
      this.#options.logger.debug({ interface: joined.name, err: error }, "no multicast DNS on an interface");
      return false;
    }
  }

  /** Callers wait for each packet, because the interface is the socket's and not the packet's. */
  async #sendThrough({ name, id }: Joined, bytes: Buffer): Promise<void> {
    const { logger, port } = this.#options;
    try {
      this.#socket.setMulticastInterface(id);
      await new Promise<void>((resolve, reject) => {
        const group = this.#v6 ? `${GROUP_6}%${name}` : GROUP_4;
        this.#socket.send(bytes, port, group, (error) => (error ? reject(error) : resolve()));
      });
    } catch (error) {
      logger.debug({ interface: name, err: error }, "a multicast DNS packet was not sent");
    }
  }

  #receive(bytes: Buffer, address: string, port: number): void {
    if (bytes.length > MAX_PACKET_BYTES || !this.#isNear(address) || this.#isTooMany()) return;
    let packet: Packet;
    try {
      packet = decode(bytes);
    } catch {
      // Anybody on the network can send anything; that it cannot be read is no event.
      return;
    }
    this.#options.onPacket(packet, { address, port });
  }

  #isNear(address: string): boolean {
    return this.#near.check(address.replace(/%.*$/, ""), this.#v6 ? "ipv6" : "ipv4");
  }

  #isTooMany(): boolean {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#packets = 0;
    }
    this.#packets += 1;
    if (this.#packets === MAX_PACKETS_PER_SECOND + 1)
      this.#options.logger.warn(
        { most: MAX_PACKETS_PER_SECOND },
        "too many multicast DNS packets in a second; the rest is dropped",
      );
    return this.#packets > MAX_PACKETS_PER_SECOND;
  }
}
