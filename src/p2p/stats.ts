/** Counts of what a host has open. */
import type { ServedStream, ServedWire } from "./protocols/protocol.ts";
import type { P2pRpc } from "./rpc.ts";

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
  /** What peers did against the rules, altogether. */
  readonly offences: number;
}

/** What is counted. */
export interface StatsOptions {
  readonly connections: number;
  readonly rpc: P2pRpc;
  readonly served: readonly ServedStream[];
  readonly offences: number;
  /** Of all open streams of our protocols. */
  readonly wires: readonly ServedWire[];
}

/** The counts as of now. */
export function statsOf({ connections, rpc, served, wires, offences }: StatsOptions): P2pStats {
  const { links } = rpc;
  return {
    connections,
    links: links.length,
    inFlight: sum([...links, ...rpc.oldPeers].map((reached) => reached.inFlight)),
    inboundStreams: served.length,
    serving: sum(served.map((stream) => stream.serving)),
    unsentBytes: sum(wires.map((wire) => wire.unsentBytes)),
    peakUnsentBytes: Math.max(0, ...wires.map((wire) => wire.peakUnsentBytes)),
    strayAnswers: rpc.counts.strayAnswers,
    offences,
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
