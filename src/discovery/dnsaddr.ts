/**
 * Addresses that stand for others: `/dnsaddr/<host>` means what the TXT records of `_dnsaddr.<host>` list.
 *
 * Format: github.com/multiformats/multiaddr, protocols/DNSADDR.md. The order of the result is the seed's
 * (contract.md 3.5): plain TCP first, because it is what every node speaks.
 */
import { Resolver } from "node:dns/promises";
import type { MultiaddrResolver } from "@libp2p/interface";
import type { Clock } from "../clock.ts";
import { systemClock } from "../clock.ts";
import { type Mechanism, parseMultiaddr, peerIdIn } from "../p2p/index.ts";

/** A name server that answers does so in a fraction of it; the dial waits meanwhile. */
const LOOKUP_MS = 2500;
/** How many names may lead from the first one to an address. */
const MAX_DEPTH = 3;
/** Lookups of one expansion: names that name each other must not multiply. */
const MAX_LOOKUPS = 16;
/** Addresses of one name; the public bootstrap names list some thirty. */
const MAX_RECORDS = 128;
/** Names whose answer is kept. */
const MAX_CACHED = 32;
/** Node's resolver does not tell how long an answer holds; operators change such records rarely. */
const FRESH_MS = 600_000;
/** A name server that was away for a moment is asked again soon. */
const FAILED_FRESH_MS = 30_000;
const PREFIX = "dnsaddr=";
const USUAL_PORT = "4001";
const FAMILIES: readonly string[] = ["ip4", "ip6", "dns4", "dns6"];

/** The TXT records of a name, each joined to one text. Rejects if there are none. */
export type TxtLookup = (name: string, signal: AbortSignal) => Promise<readonly string[]>;

/** Expands addresses, and remembers what names meant. */
export interface Dnsaddr {
  /**
   * Puts the addresses that a `/dnsaddr` stands for in its place; all others stay. What cannot be looked up, names
   * another peer than the address it comes from, or is there already, is left as it is or left out, never an error.
   */
  expand(addresses: readonly string[], signal: AbortSignal): Promise<readonly string[]>;
}

/** What expanding needs. */
export interface DnsaddrOptions {
  /** Default: the machine's name servers. */
  readonly lookup?: TxtLookup | undefined;
  readonly clock?: Clock | undefined;
}

interface Cached {
  readonly entries: readonly string[];
  readonly until: number;
}

interface Expansion {
  readonly signal: AbortSignal;
  lookups: number;
}

/** An expander with an empty memory. */
export function createDnsaddr(options: DnsaddrOptions = {}): Dnsaddr {
  const { lookup = txtLookup(), clock = systemClock } = options;
  const cache = new Map<string, Cached>();

  const entriesOf = async (host: string, expansion: Expansion): Promise<readonly string[]> => {
    const known = cache.get(host);
    if (known && known.until > clock.now()) return known.entries;
    if (expansion.lookups >= MAX_LOOKUPS) return [];
    expansion.lookups += 1;
    const entries = await lookUpInTime(`_dnsaddr.${host}`, lookup, clock, expansion.signal);
    const until = clock.now() + (entries.length > 0 ? FRESH_MS : FAILED_FRESH_MS);
    cache.delete(host);
    cache.set(host, { entries, until });
    const [oldest] = cache.keys();
    if (cache.size > MAX_CACHED && oldest !== undefined) cache.delete(oldest);
    return entries;
  };

  const expandOne = async (address: string, depth: number, expansion: Expansion): Promise<string[]> => {
    const host = dnsaddrHost(address);
    if (host === undefined || depth >= MAX_DEPTH) return [address];
    const wanted = idIn(address);
    const found = await entriesOf(host, expansion);
    const fitting = found.filter((entry) => wanted === undefined || idIn(entry) === wanted);
    const each = inOrder(fitting).map((entry) => expandOne(entry, depth + 1, expansion));
    const expanded = (await Promise.all(each)).flat();
    return expanded.length === 0 ? [address] : expanded;
  };

  return {
    async expand(addresses, signal) {
      const expansion = { signal, lookups: 0 };
      const expanded = await Promise.all(addresses.map((address) => expandOne(address, 0, expansion)));
      return [...new Set(expanded.flat())];
    },
  };
}

/**
 * Looks TXT records up at name servers.
 *
 * @param servers - `address` or `address:port`; absent means those that the machine is configured for
 */
export function txtLookup(servers?: readonly string[]): TxtLookup {
  return async (name, signal) => {
    const resolver = new Resolver({ timeout: LOOKUP_MS, tries: 1 });
    if (servers) resolver.setServers(servers);
    const cancel = (): void => resolver.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      const records = await resolver.resolveTxt(name);
      return records.map((parts) => parts.join(""));
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  };
}

/** Lets everything that dials understand `/dnsaddr`. Without it such an address cannot be dialled. */
export function dnsaddrMechanism(dnsaddr: Dnsaddr): Mechanism {
  const resolver: MultiaddrResolver = {
    canResolve: (address) => address.getComponents().some(({ name }) => name === "dnsaddr"),
    async resolve(address, { signal = new AbortController().signal }) {
      const expanded = await dnsaddr.expand([address.toString()], signal);
      // libp2p would look up again what stayed as it was.
      return expanded.filter((text) => dnsaddrHost(text) === undefined).map(parseMultiaddr);
    },
  };
  return { name: "dnsaddr", resolvers: { dnsaddr: resolver } };
}

async function lookUpInTime(
  name: string,
  lookup: TxtLookup,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly string[]> {
  signal.throwIfAborted();
  const late = new AbortController();
  const undo = clock.schedule(() => late.abort(), LOOKUP_MS);
  try {
    const records = await lookup(name, AbortSignal.any([signal, late.signal]));
    const entries = records.filter((record) => record.startsWith(PREFIX)).map((r) => r.slice(PREFIX.length));
    return entries.slice(0, MAX_RECORDS).filter(isMultiaddr);
  } catch (error) {
    signal.throwIfAborted();
    // No such name, no answer, no network: all of it means that this address leads nowhere now. A defect does not.
    if (late.signal.aborted || (error instanceof Error && "code" in error)) return [];
    throw error;
  } finally {
    undo();
  }
}

/** The seed's order; equal ones stay as the name server gave them. */
function inOrder(addresses: readonly string[]): readonly string[] {
  const ranked = addresses.map((address) => ({ address, rank: rankOf(address) }));
  return ranked.toSorted((a, b) => a.rank - b.rank).map(({ address }) => address);
}

function rankOf(address: string): number {
  const parts = parseMultiaddr(address).getComponents();
  const has = (...names: readonly string[]): boolean => parts.some(({ name }) => names.includes(name));
  const usualPort = parts.some(
    ({ name, value }) => (name === "tcp" || name === "udp") && value === USUAL_PORT,
  );
  const family = FAMILIES.indexOf(parts[0]?.name ?? "");
  const last = family === -1 ? FAMILIES.length : family;
  return Number(!has("tcp")) * 64 + Number(has("ws", "wss")) * 32 + Number(!usualPort) * 16 + last;
}

function dnsaddrHost(address: string): string | undefined {
  const [first] = parseMultiaddr(address).getComponents();
  return first?.name === "dnsaddr" ? first.value : undefined;
}

function idIn(address: string): string | undefined {
  return peerIdIn(parseMultiaddr(address));
}

function isMultiaddr(text: string): boolean {
  try {
    parseMultiaddr(text);
    return true;
  } catch {
    // Records are written by hand; one that is no address must not hide the others.
    return false;
  }
}
