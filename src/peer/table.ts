/** Which peers are known, and where; bounded, so that nobody can fill it. */
import type { Clock } from "../clock.ts";
import type { Capabilities } from "./capabilities.ts";
import type { Peer } from "./peer.ts";

/** Ten times the peers that one node is built to serve, at a few hundred bytes each. */
export const MAX_KNOWN_PEERS = 10_000;

/** More addresses of one peer than this are noise; libp2p dials at most 25. */
export const MAX_PEER_ADDRESSES = 16;

/** Addresses of one peer that hearsay does not push out: half, so that it still has room for what is new. */
const MAX_TRIED_ADDRESSES = 8;

/** Strangers that have left and are remembered all the same: whoever likes can make identities without end. */
export const MAX_STRANGERS = 1000;

/** More mechanisms than there are, so that names made up by one cannot add up. */
const MAX_METHODS = 16;

/** What was learnt about a peer; what is absent stays as it was. */
export interface PeerFacts {
  /** Addresses that are better than those known so far, best first. */
  readonly multiaddrs?: readonly string[] | undefined;
  readonly method?: string | undefined;
  readonly connected?: boolean | undefined;
  readonly path?: Peer["path"];
  readonly rttMs?: number | undefined;
  /** Whether the peer itself was heard, not only somebody who knows of it. Default: true if `connected` is. */
  readonly seen?: boolean | undefined;
  /** Whether it has stopped to answer. Default: it has not, if it was seen. */
  readonly stale?: boolean | undefined;
  readonly trusted?: boolean | undefined;
  /** Why it refuses to work with this node; null: it does not. */
  readonly refused?: string | null | undefined;
  readonly skewMs?: number | undefined;
  readonly capabilities?: Capabilities | undefined;
}

/** The peers that this node knows. */
export interface PeerTable {
  /** Adds what was learnt about a peer. */
  heard(peerId: string, facts: PeerFacts): void;
  get(peerId: string): Peer | undefined;
  /** All of them, the one heard from or of last first. */
  list(): readonly Peer[];
  /** Where the peer may be, best first; empty if nothing is known. */
  addresses(peerId: string): readonly string[];
  /** Drops an address that led to somebody else. */
  forgetAddress(peerId: string, multiaddr: string): void;
  forget(peerId: string): void;
  /** Calls `listener` with each peer that was not known before. @returns ends that */
  onNew(listener: (peer: Peer) => void): () => void;
}

/** What a table is made of. */
export interface PeerTableOptions {
  readonly clock: Clock;
  /** How many peers it keeps. Default {@link MAX_KNOWN_PEERS}. */
  readonly capacity?: number | undefined;
  /** How many strangers that have left it keeps. Default {@link MAX_STRANGERS}, at most the capacity. */
  readonly strangers?: number | undefined;
}

/** An empty table. */
export function createPeerTable(options: PeerTableOptions): PeerTable {
  const { clock, capacity = MAX_KNOWN_PEERS, strangers = MAX_STRANGERS } = options;
  // A map keeps the order of insertion, and a peer is put back at its end whenever it is heard.
  const peers = new Map<string, Peer>();
  /** Of each peer, addresses that the peer itself or the owner gave, or that led to it. */
  const tried = new Map<string, readonly string[]>();
  const ranks = new Ranks();
  const listeners = new Set<(peer: Peer) => void>();
  const put = (peer: Peer): void => {
    ranks.put(peer, peers.get(peer.peerId));
    peers.delete(peer.peerId);
    peers.set(peer.peerId, peer);
  };
  const forget = (peerId: string): void => {
    const known = peers.get(peerId);
    if (!known) return;
    ranks.remove(known);
    peers.delete(peerId);
    tried.delete(peerId);
  };

  return {
    heard(peerId, facts) {
      const known = peers.get(peerId);
      const { multiaddrs: given = [], method, seen = facts.connected === true } = facts;
      if (given.length > 0 && (seen || method === "explicit"))
        tried.set(
          peerId,
          [...new Set([...given, ...(tried.get(peerId) ?? [])])].slice(0, MAX_TRIED_ADDRESSES),
        );
      const peer = merge(peerId, known, facts, { clock, tried: tried.get(peerId) ?? [] });
      put(peer);
      const excess = ranks.strangers > strangers ? ranks.oldestStranger() : undefined;
      if (excess !== undefined) forget(excess);
      if (peers.size > capacity) forget(ranks.leastMissed(peerId));
      if (!known && peers.has(peerId)) for (const listener of listeners) listener(peer);
    },
    get: (peerId) => peers.get(peerId),
    list: () => [...peers.values()].toReversed(),
    addresses: (peerId) => peers.get(peerId)?.multiaddrs ?? [],
    forgetAddress(peerId, multiaddr) {
      const known = peers.get(peerId);
      if (!known) return;
      const others = (all: readonly string[]): readonly string[] => all.filter((one) => one !== multiaddr);
      peers.set(peerId, { ...known, multiaddrs: others(known.multiaddrs) });
      tried.set(peerId, others(tried.get(peerId) ?? []));
    },
    forget,
    onNew(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/**
 * Who goes first when there is no room: not whoever was heard of longest ago, because then one mechanism that names many
 * would push out what all others have found.
 *
 * Strangers go first: peers that have connected here by themselves and shown nothing. Then hearsay of the mechanism that
 * has given most of it, then those that were seen, again of the mechanism with most, then whoever is connected. In each
 * group it is the one that was heard of longest ago.
 */
class Ranks {
  readonly #groups = new Map<string, Set<string>>();

  get strangers(): number {
    return this.#groups.get(STRANGER)?.size ?? 0;
  }

  put(peer: Peer, before: Peer | undefined): void {
    if (before) this.remove(before);
    const name = groupOf(peer);
    const group = this.#groups.get(name) ?? new Set();
    group.add(peer.peerId);
    this.#groups.set(name, group);
  }

  remove(peer: Peer): void {
    const name = groupOf(peer);
    const group = this.#groups.get(name);
    group?.delete(peer.peerId);
    if (group?.size === 0) this.#groups.delete(name);
  }

  oldestStranger(): string | undefined {
    return this.#groups.get(STRANGER)?.values().next().value;
  }

  /** @param fresh - who was heard of just now, and goes only if there is nobody else */
  leastMissed(fresh: string): string {
    const groups = [...this.#groups].toSorted(
      ([a, inA], [b, inB]) => rankOf(a) - rankOf(b) || inB.size - inA.size,
    );
    for (const [, group] of groups) for (const peerId of group) if (peerId !== fresh) return peerId;
    return fresh;
  }
}

const STRANGER = "stranger";
const RANKS = [STRANGER, "hearsay", "seen", "connected-stranger", "connected"];

function groupOf(peer: Peer): string {
  const { connected, methods, method, lastSeenMs, trusted = false } = peer;
  const isStranger = !trusted && methods.every((name) => name === "inbound");
  if (connected) return isStranger ? "connected-stranger" : "connected";
  if (isStranger) return STRANGER;
  return `${lastSeenMs === undefined ? "hearsay" : "seen"} ${method}`;
}

function rankOf(group: string): number {
  return RANKS.indexOf(group.split(" ")[0] ?? "");
}

/** The first of the addresses, and all of those that were tried. */
function fitting(multiaddrs: readonly string[], tried: readonly string[]): readonly string[] {
  const kept = new Set(tried);
  let room = MAX_PEER_ADDRESSES - kept.size;
  return multiaddrs.filter((address) => kept.has(address) || room-- > 0);
}

interface Merging {
  readonly clock: Clock;
  readonly tried: readonly string[];
}

function merge(peerId: string, known: Peer | undefined, facts: PeerFacts, { clock, tried }: Merging): Peer {
  const multiaddrs = [...new Set([...(facts.multiaddrs ?? []), ...(known?.multiaddrs ?? [])])];
  const methods = [
    ...new Set([...(known?.methods ?? []), ...(facts.method === undefined ? [] : [facts.method])]),
  ];
  const connected = facts.connected ?? known?.connected ?? false;
  const seen = facts.seen ?? facts.connected === true;
  const refused = facts.refused === undefined ? known?.refused : (facts.refused ?? undefined);
  return {
    peerId,
    multiaddrs: fitting(multiaddrs, tried),
    // Whoever connected here is noted as that; who is known in no way was dialled by this node itself.
    method: methods[0] ?? "outbound",
    methods: methods.slice(0, MAX_METHODS),
    connected,
    lastSeenMs: seen ? clock.epochMs() : known?.lastSeenMs,
    path: connected ? (facts.path ?? known?.path) : undefined,
    rttMs: facts.rttMs ?? known?.rttMs,
    stale: facts.stale ?? (seen ? false : known?.stale),
    trusted: facts.trusted ?? known?.trusted,
    refused,
    skewMs: facts.skewMs ?? known?.skewMs,
    capabilities: facts.capabilities ?? known?.capabilities,
  };
}
