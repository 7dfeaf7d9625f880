/** How peers are found. Each mechanism is one file in discovery/. */
import type { Finding } from "./finding.ts";

/** A hint where a peer may be. Nothing is sent to it before its id is authenticated. */
export interface PeerHint {
  /** Base58 or CID text of the peer id, if the mechanism knows it. */
  readonly peerId?: string | undefined;
  /** Where to dial, in the order to try. */
  readonly multiaddrs: readonly string[];
  /** The mechanism's name, e.g. `announce-file`. */
  readonly method: string;
}

/** What a node tells about itself wherever it can be found. */
export interface SelfDescription {
  readonly peerId: string;
  /** Where it is reached now, best first, each ending in `/p2p/<peer id>`; empty if nowhere. */
  multiaddrs(): readonly string[];
  /**
   * Calls `listener` whenever {@link SelfDescription.multiaddrs} would answer differently.
   *
   * @returns ends that
   */
  onChange(listener: () => void): () => void;
  /** A signature over `bytes` with the key of the peer id, as libp2p makes it for that key's type. */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/**
 * Who decides what a discovery names: `owner`, only whoever owns this node, as in a file or a setting; `public`, anybody
 * on the internet, so that addresses of local networks in it mean nothing.
 */
export type DiscoveryTrust = "owner" | "public";

/** One way to find peers. */
export interface Discovery {
  /** Stable name, e.g. `announce-file`, `bootstrap`. */
  readonly name: string;
  /** Who decides what it names. Absent: other peers or people, who may be near. */
  readonly trust?: DiscoveryTrust | undefined;
  /**
   * Looks once.
   *
   * @param peerId - only hints about this peer are wanted; absent means any
   * @returns what was found; empty rather than an error when there is nothing
   */
  find(peerId: string | undefined, signal: AbortSignal): Promise<readonly PeerHint[]>;
  /**
   * Calls `listener` with whoever makes itself heard without being asked for. Absent: the mechanism only answers.
   *
   * @returns ends that
   */
  watch?(listener: (hint: PeerHint) => void): () => void;
  /**
   * Looks for what keeps the mechanism from working here and now, for people to read. Absent or empty: nothing that it
   * could tell.
   */
  examine?(signal: AbortSignal): Promise<readonly Finding[]>;
  /**
   * Tells others where this node is, and keeps that true until it is cancelled; then takes it back as far as it can.
   * Runs in a nursery of the host. Retries what can pass by itself; a rejection ends this mechanism's advertising only,
   * and is logged. Absent: the mechanism only reads.
   */
  advertise?(self: SelfDescription): Promise<void>;
}
