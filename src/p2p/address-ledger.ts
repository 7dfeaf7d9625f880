/** How many connections each address has, and how fast new ones come from it. */
import { isIPv6 } from "node:net";
import type { Multiaddr } from "@multiformats/multiaddr";
import type { Clock } from "../clock.ts";
import { Bucket } from "./bucket.ts";
import type { P2pLimits } from "./limits.ts";

/** Groups of an IPv6 address that one customer gets: its /64. */
const SITE_GROUPS = 4;
const ALL_GROUPS = 8;

/** The IP address at the other end of a connection; undefined if it is relayed, or goes over something else. */
export function ipOf(address: Multiaddr): string | undefined {
  const parts = address.getComponents();
  const [host] = parts;
  if (!host || parts.some(({ name }) => name === "p2p-circuit")) return undefined;
  return host.name === "ip4" || host.name === "ip6" ? host.value : undefined;
}

/** What of an IP address belongs to one party: all of an IPv4 one, the first half of an IPv6 one. */
export function partyOf(ip: string): string {
  if (!isIPv6(ip)) return ip;
  const mapped = /(\d{1,3}(?:\.\d{1,3}){3})$/.exec(ip);
  if (mapped?.[1] !== undefined) return mapped[1];
  const [head = "", tail] = ip.replace(/%.*$/, "").split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : ALL_GROUPS - before.length - after.length;
  const groups = [...before, ...Array.from({ length: zeros }, () => "0"), ...after];
  const site = groups.slice(0, SITE_GROUPS).map((group) => Number.parseInt(group, 16).toString(16));
  return `${site.join(":")}::/64`;
}

interface Entry {
  open: number;
  pending: number;
  readonly rate: Bucket;
  usedAtMs: number;
}

/** The connections of one address, as they come and go. */
export interface Admitted {
  /** The handshake is done. */
  ready(): void;
  /** The connection has ended, whatever became of the handshake. */
  gone(): void;
}

/** Counts connections by address. */
export class AddressLedger {
  readonly #clock: Clock;
  readonly #limits: P2pLimits;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock, limits: P2pLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Lets one more connection of an address in, or says why not. */
  admit(ip: string): Admitted | string {
    const entry = this.#entry(partyOf(ip));
    entry.usedAtMs = this.#clock.now();
    const refusal = this.#refusal(entry);
    if (refusal !== undefined) return refusal;
    entry.rate.take();
    return admitted(entry);
  }

  /** Why one more connection of an address would not be let in; undefined if it would. Nothing is counted. */
  wouldRefuse(ip: string): string | undefined {
    const entry = this.#entries.get(partyOf(ip));
    return entry && this.#refusal(entry);
  }

  #refusal({ open, pending, rate }: Entry): string | undefined {
    const { maxAddressConnections, maxAddressPending } = this.#limits;
    if (open >= maxAddressConnections) return `${open} connections from this address are open`;
    if (pending >= maxAddressPending)
      return `${pending} connections from this address have not said who they are`;
    return rate.hasAny ? undefined : "new connections come too fast from this address";
  }

  /** Forgets addresses without connections. */
  forgetGone(nowMs: number): void {
    const { rememberMs } = this.#limits;
    for (const [party, { open, pending, usedAtMs }] of this.#entries)
      if (open + pending === 0 && nowMs - usedAtMs >= rememberMs) this.#entries.delete(party);
  }

  #entry(party: string): Entry {
    const known = this.#entries.get(party);
    if (known) return known;
    if (this.#entries.size >= this.#limits.maxRememberedPeers) this.#forgetOne();
    const { addressBurst, addressPerSecond } = this.#limits;
    const rate = new Bucket(this.#clock, addressBurst, addressPerSecond);
    const made = { open: 0, pending: 0, rate, usedAtMs: this.#clock.now() };
    this.#entries.set(party, made);
    return made;
  }

  #forgetOne(): void {
    for (const [party, { open, pending }] of this.#entries) {
      if (open + pending > 0) continue;
      this.#entries.delete(party);
      return;
    }
  }
}

function admitted(entry: Entry): Admitted {
  let state: "pending" | "open" | "gone" = "pending";
  entry.open += 1;
  entry.pending += 1;
  const settle = (): void => {
    if (state === "pending") entry.pending -= 1;
  };
  return {
    ready() {
      settle();
      if (state === "pending") state = "open";
    },
    gone() {
      settle();
      if (state !== "gone") entry.open -= 1;
      state = "gone";
    },
  };
}
