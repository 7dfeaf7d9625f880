/**
 * How much this node dials on the word of others.
 *
 * Whoever can write to a registry, a rendezvous node, a DHT or the local network could have every reader of it knock at
 * ports of a third party, or of the reader's own network. So dials to addresses that neither the owner gave nor led to a
 * peer before come out of a budget: of the mechanism that named them, of the machine they lead to, and of its network. A
 * dial that ends at an authenticated peer is given back, so that what is true costs nothing.
 */
import { isIP } from "node:net";
import type { Multiaddr } from "@multiformats/multiaddr";
import type { Clock } from "../clock.ts";
import type { Discovery, DiscoveryTrust } from "../peer/discovery.ts";
import { isRelayed, relayIn } from "./address.ts";
import { endpointOf, isPublicAddress } from "./address-scope.ts";
import { partyOf } from "./address-ledger.ts";
import { Bucket } from "./bucket.ts";
import type { P2pLimits } from "./limits.ts";

/** Machines, networks and mechanisms whose budgets are remembered, and addresses; the oldest are forgotten first. */
const MAX_REMEMBERED = 4096;
/** An address that was dialled on somebody's word may be dialled again for so long: that tells no new port. */
const SAME_MS = 600_000;

/** The mechanism of an address that was given with a call. */
export const EXPLICIT = "explicit";

/** What the budget needs. */
export interface HearsayOptions {
  readonly clock: Clock;
  readonly limits: P2pLimits;
}

/** Why an address is not dialled. */
export interface HearsayRefusal {
  readonly outcome: "not-believed" | "hearsay-limit";
  readonly reason: string;
}

/** The budget of one node. */
export class Hearsay {
  readonly #options: HearsayOptions;
  readonly #trusts = new Map<string, DiscoveryTrust | undefined>([[EXPLICIT, "owner"]]);
  /** Those that were allowed with their mechanism, so that they are not asked about again without it. */
  readonly #allowed = new WeakSet<Multiaddr>();
  readonly #buckets = new Map<string, Bucket>();
  /** When each address was last paid for, and for which mechanism. */
  readonly #paid = new Map<string, { readonly atMs: number; readonly mechanism: string | undefined }>();
  /** Addresses that have led to an authenticated peer. */
  readonly #proven = new Map<string, true>();

  constructor(options: HearsayOptions) {
    this.#options = options;
  }

  /** Tells who decides what the discoveries name. */
  learn(discoveries: readonly Discovery[]): void {
    for (const { name, trust } of discoveries) this.#trusts.set(name, trust);
  }

  /** Takes the dial out of the budget, or says why it must not be made. */
  refuses(mechanism: string, address: Multiaddr): HearsayRefusal | undefined {
    const refusal = this.#refusal(mechanism, address);
    if (!refusal) this.#allowed.add(address);
    return refusal;
  }

  /**
   * The same for a dial of libp2p itself, for the DHT or to leave a relay: by machine and network only, since it asks
   * about all addresses of a peer and then dials one or two.
   */
  refusesOwn(address: Multiaddr): boolean {
    if (this.#allowed.has(address) || isRelayed(address)) return false;
    return this.#refusal(undefined, address) !== undefined;
  }

  #refusal(mechanism: string | undefined, address: Multiaddr): HearsayRefusal | undefined {
    const trust = mechanism === undefined ? undefined : this.#trusts.get(mechanism);
    const text = address.toString();
    if (trust === "owner" || this.#proven.has(text)) return undefined;
    if (trust === "public" && !isPublicAddress(address))
      return {
        outcome: "not-believed",
        reason: `${mechanism} is written to by anybody, and the address is one of a local network`,
      };
    const now = this.#options.clock.now();
    if (now - (this.#paid.get(text)?.atMs ?? -Infinity) < SAME_MS) return undefined;
    const due = this.#due(mechanism, address);
    const empty = due.find(({ bucket }) => !bucket.hasAny);
    if (empty)
      return {
        outcome: "hearsay-limit",
        reason: `too many addresses ${empty.whose} led nowhere lately; it is tried again in a while`,
      };
    for (const { bucket } of due) bucket.take();
    remember(this.#paid, text, { atMs: now, mechanism });
    return undefined;
  }

  /** The address led to an authenticated peer. */
  reached(address: Multiaddr): void {
    const text = address.toString();
    const paid = this.#paid.get(text);
    this.#paid.delete(text);
    if (paid) for (const { bucket } of this.#due(paid.mechanism, address)) bucket.giveBack();
    remember(this.#proven, text, true);
  }

  #due(
    mechanism: string | undefined,
    address: Multiaddr,
  ): readonly { readonly bucket: Bucket; readonly whose: string }[] {
    const { limits } = this.#options;
    const { host } = endpointOf(address);
    const source = { burst: limits.hearsayBurst, perSecond: limits.hearsayPerSecond };
    const machine = { burst: limits.hearsayHostBurst, perSecond: limits.hearsayHostPerSecond };
    const net = { burst: limits.hearsayNetBurst, perSecond: limits.hearsayNetPerSecond };
    const named =
      mechanism === undefined
        ? []
        : [{ bucket: this.#bucket(`by ${mechanism}`, source), whose: `named by ${mechanism}` }];
    const relay = relayIn(address)?.toString();
    // At a relay that is known the dial goes no further than there.
    if (relay !== undefined && this.#proven.has(relay)) return named;
    return [
      ...named,
      { bucket: this.#bucket(`at ${partyOf(host)}`, machine), whose: `at ${host}` },
      { bucket: this.#bucket(`in ${netOf(host)}`, net), whose: `in the network of ${host}` },
    ];
  }

  #bucket(key: string, { burst, perSecond }: { readonly burst: number; readonly perSecond: number }): Bucket {
    const bucket = this.#buckets.get(key) ?? new Bucket(this.#options.clock, burst, perSecond);
    remember(this.#buckets, key, bucket);
    return bucket;
  }
}

/** Of the addresses of a hint, those that its source is believed. */
export function believed(
  multiaddrs: readonly string[],
  trust: DiscoveryTrust | undefined,
): readonly string[] {
  return trust === "public" ? multiaddrs.filter(isPublicAddress) : multiaddrs;
}

/** The network of an address: a /24 of IPv4, a /48 of IPv6; a name is its own. */
function netOf(host: string): string {
  if (isIP(host) === 4) return host.split(".").slice(0, 3).join(".");
  return isIP(host) === 6 ? partyOf(host).split(":").slice(0, 3).join(":") : host;
}

/** Puts an entry at the end, and forgets the first if there are too many. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > MAX_REMEMBERED && oldest !== undefined) map.delete(oldest);
}
