/** What this node knows about another one. */

/** How a connection to a peer runs. */
export type PeerPath = "direct" | "relayed";

/** A peer that was heard from or heard of. */
export interface Peer {
  readonly peerId: string;
  /** Known addresses, best first. */
  readonly multiaddrs: readonly string[];
  /** The mechanism that found it: `inbound`, `explicit`, `announce-file`, `bootstrap`, … */
  readonly method: string;
  /** When it was last heard from, in milliseconds since 1970; absent if it never was. */
  readonly lastSeenMs?: number | undefined;
  readonly connected: boolean;
  readonly path?: PeerPath | undefined;
  /** Round trip in milliseconds, as last measured. */
  readonly rttMs?: number | undefined;
}
