/** Which peers are known, and where; bounded, so that nobody can fill it. */
import type { Clock } from "../clock.ts";
import type { Peer } from "./peer.ts";

/** Ten times the peers that one node is built to serve, at a few hundred bytes each. */
export const MAX_KNOWN_PEERS = 10_000;

/** More addresses of one peer than this are noise; libp2p dials at most 25. */
export const MAX_PEER_ADDRESSES = 16;

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
}

/** What a table is made of. */
export interface PeerTableOptions {
  readonly clock: Clock;
  /** How many peers it keeps. Default {@link MAX_KNOWN_PEERS}. */
  readonly capacity?: number | undefined;
}

/**
 * An empty table.
 *
 * A map keeps the order of insertion, and a peer is put back at its end whenever it is heard, so the first
 * one that is not connected is the one to evict.
 */
export function createPeerTable({ clock, capacity = MAX_KNOWN_PEERS }: PeerTableOptions): PeerTable {
  const peers = new Map<string, Peer>();

  return {
    heard(peerId, facts) {
      const known = peers.get(peerId);
      const merged = merge(peerId, known, facts, clock);
      if (!known && peers.size >= capacity) evictOne(peers);
      peers.delete(peerId);
      peers.set(peerId, merged);
    },
    get: (peerId) => peers.get(peerId),
    list: () => [...peers.values()].toReversed(),
    addresses: (peerId) => peers.get(peerId)?.multiaddrs ?? [],
    forgetAddress(peerId, multiaddr) {
      const known = peers.get(peerId);
      if (!known) return;
      peers.set(peerId, {
        ...known,
        multiaddrs: known.multiaddrs.filter((address) => address !== multiaddr),
      });
    },
    forget: (peerId) => void peers.delete(peerId),
  };
}

function merge(peerId: string, known: Peer | undefined, facts: PeerFacts, clock: Clock): Peer {
  const multiaddrs = [...new Set([...(facts.multiaddrs ?? []), ...(known?.multiaddrs ?? [])])];
  const connected = facts.connected ?? known?.connected ?? false;
  const seen = facts.seen ?? facts.connected === true;
  return {
    peerId,
    multiaddrs: multiaddrs.slice(0, MAX_PEER_ADDRESSES),
    method: known?.method ?? facts.method ?? "explicit",
    connected,
    lastSeenMs: seen ? clock.epochMs() : known?.lastSeenMs,
    path: connected ? (facts.path ?? known?.path) : undefined,
    rttMs: facts.rttMs ?? known?.rttMs,
  };
}

function evictOne(peers: Map<string, Peer>): void {
  for (const peer of peers.values()) {
    if (peer.connected) continue;
    peers.delete(peer.peerId);
    return;
  }
  // All are connected: the oldest goes all the same, its connection is not touched by that.
  const [oldest] = peers.keys();
  if (oldest !== undefined) peers.delete(oldest);
}
