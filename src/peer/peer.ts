/** What this node knows about another one. */
import type { Capabilities } from "./capabilities.ts";

/** How a connection to a peer runs. */
export type PeerPath = "direct" | "relayed";

/** A peer that was heard from or heard of. */
export interface Peer {
  readonly peerId: string;
  /** Known addresses, best first. */
  readonly multiaddrs: readonly string[];
  /** The mechanism that found it first: `inbound`, `explicit`, `announce-file`, `bootstrap`, … */
  readonly method: string;
  /** All mechanisms that have found it, first come first. */
  readonly methods: readonly string[];
  /** When it was last heard from, in milliseconds since 1970; absent if it never was. */
  readonly lastSeenMs?: number | undefined;
  readonly connected: boolean;
  readonly path?: PeerPath | undefined;
  /** Round trip in milliseconds, as last measured. */
  readonly rttMs?: number | undefined;
  /** Whether it did not answer when it was last asked, twice at least. Default false. */
  readonly stale?: boolean | undefined;
  /** Whether it has shown that it may work with this node. Absent: it has not. */
  readonly trusted?: boolean | undefined;
  /** The code with which it refuses to work with this node. Absent: it does not, or was not asked. */
  readonly refused?: string | undefined;
  /** How many milliseconds its clock is ahead of ours, if it told. */
  readonly skewMs?: number | undefined;
  /** What it can do, as it told with its last heartbeat. */
  readonly capabilities?: Capabilities | undefined;
}

/** A peer that was not heard from for longer counts as gone, as in the old system. */
export const ALIVE_MS = 300_000;

/** Whether a peer is there, as far as this node knows; a peer that was never heard from is not known to be. */
export function isAlive({ connected, lastSeenMs, stale = false }: Peer, nowMs: number): boolean {
  if (stale || lastSeenMs === undefined) return false;
  return connected || nowMs - lastSeenMs < ALIVE_MS;
}
