/** Who asks. */

/** The person who started this node: a host on loopback HTTP or stdio, the CLI, or code in this process. */
export interface OwnerCaller {
  readonly kind: "owner";
}

/** A libp2p peer. Its id is authenticated by Noise, which says who it is and nothing about what it may do. */
export interface PeerCaller {
  readonly kind: "peer";
  readonly peerId: string;
  /** The connection comes straight from this machine's loopback interface. */
  readonly sameMachine: boolean;
  /** It proved on this connection that it knows the shared token. */
  readonly provedToken: boolean;
}

/** Whoever asks something of this node. */
export type Caller = OwnerCaller | PeerCaller;

/** The owner, as a caller. */
export const OWNER: OwnerCaller = { kind: "owner" };

/** A short stable name of a caller, for leases and logs: `owner`, or the peer id. */
export function callerName(caller: Caller): string {
  return caller.kind === "owner" ? "owner" : caller.peerId;
}
