/** Counts of a running host. */
export interface P2pStats {
  readonly connections: number;
  /** Streams to peers that our calls share. */
  readonly links: number;
  /** Our calls that are unanswered. */
  readonly inFlight: number;
  /** Streams that peers have opened. */
  readonly inboundStreams: number;
  /** Calls of peers that are being answered. */
  readonly serving: number;
  /** Bytes that wait to be sent, on all streams. */
  readonly unsentBytes: number;
  /** The most bytes that ever waited on one open stream. */
  readonly peakUnsentBytes: number;
  /** Answers that came after their call was given up, or to no call at all. */
  readonly strayAnswers: number;
}
