/** How peers are found. Each mechanism is one file in discovery/. */

/** A hint where a peer may be. Nothing is sent to it before its id is authenticated. */
export interface PeerHint {
  /** Base58 or CID text of the peer id, if the mechanism knows it. */
  readonly peerId?: string | undefined;
  /** Where to dial, in the order to try. */
  readonly multiaddrs: readonly string[];
  /** The mechanism's name, e.g. `announce-file`. */
  readonly method: string;
}

/** One way to find peers. */
export interface Discovery {
  /** Stable name, e.g. `announce-file`, `bootstrap`. */
  readonly name: string;
  /**
   * Looks once.
   *
   * @param peerId - only hints about this peer are wanted; absent means any
   * @returns what was found; empty rather than an error when there is nothing
   */
  find(peerId: string | undefined, signal: AbortSignal): Promise<readonly PeerHint[]>;
}
