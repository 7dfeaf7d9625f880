/** All limits of the peer-to-peer wire, with the reason for each. */

/** What a host allows itself and others. */
export interface P2pLimits {
  /** Largest message body on any stream, both ways. */
  readonly maxFrameBytes: number;
  /** Largest message body of a caller who may only ask for status. */
  readonly strangerFrameBytes: number;
  /** Calls of ours that are unanswered at one peer; more of them wait their turn. */
  readonly maxInFlight: number;
  /** Calls of ours that wait for their turn at one peer; more of them are refused with E_BUSY. */
  readonly maxWaiting: number;
  /** Calls of one connection that are being answered; more are refused with E_BUSY. */
  readonly maxServing: number;
  /** The same for a caller who may only ask for status. */
  readonly strangerServing: number;
  /** Unsent bytes at which a stream takes no more calls and reads no more requests. */
  readonly highWaterBytes: number;
  /** Unsent bytes at which the reader is taken for dead and the stream is reset. */
  readonly maxUnsentBytes: number;
  /** Longest time that a call may run here, whatever its caller wants. */
  readonly maxCallMs: number;
  /** How long a stream of calls stays open unused. */
  readonly idleMs: number;
  /** How long a stream of an MCP session stays open unused. */
  readonly sessionIdleMs: number;
  /** How long finding, dialling, opening and proving may take together. */
  readonly connectMs: number;
  /** How long a peer that owes an answer may be silent before it is asked whether it is there. */
  readonly silentMs: number;
  /** How long its sign of life may take; then its connection is taken for dead. */
  readonly probeMs: number;
  /** How long a stream may take to say goodbye before it is reset. */
  readonly closeMs: number;
  /** Streams of this protocol that one connection may hold open. */
  readonly maxStreams: number;
  /** New streams of one connection in a burst, and per second after it. */
  readonly streamBurst: number;
  readonly streamsPerSecond: number;
  /** Messages of a caller who may only ask for status, in a burst and per second after it. */
  readonly strangerBurst: number;
  readonly strangerPerSecond: number;
  /** How long a challenge can be answered. */
  readonly challengeMs: number;
  /** Proofs of the token that one connection may try. */
  readonly maxProofs: number;
  /** Connections held; the number of peers that one node is built to serve, twice. */
  readonly maxConnections: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** What holds unless a test or a configuration says otherwise. */
export const DEFAULT_P2P_LIMITS: P2pLimits = {
  // The protocol's own default (Profile E, requirement 10).
  maxFrameBytes: 16 * MIB,
  // A status question has a hundred bytes; nobody unknown gets to fill memory.
  strangerFrameBytes: 64 * KIB,
  // Waiting claims and waits hold a place for minutes; a place costs half a kilobyte.
  maxInFlight: 1024,
  // Beyond this nothing would be answered within its deadline anyway.
  maxWaiting: 8192,
  // More than one well-behaved link (maxInFlight) uses, so that such a link is never refused.
  maxServing: 2048,
  strangerServing: 4,
  // A few round trips of a fast network; more only adds delay.
  highWaterBytes: 4 * MIB,
  // Four frames of the largest size behind a reader that does not read.
  maxUnsentBytes: 64 * MIB,
  // The longest wait that a tool offers is five minutes; one more for its answer.
  maxCallMs: 6 * MINUTE,
  idleMs: 5 * MINUTE,
  // A session waits for its user, who may be at lunch.
  sessionIdleMs: 60 * MINUTE,
  connectMs: 10 * SECOND,
  // A question of a hundred bytes each time; with probeMs, a dead connection is known after 14 s at most.
  silentMs: 6 * SECOND,
  // A thousand round trips, or a node whose event loop is stuck.
  probeMs: 6 * SECOND,
  closeMs: 2 * SECOND,
  maxStreams: 128,
  streamBurst: 256,
  streamsPerSecond: 64,
  strangerBurst: 40,
  strangerPerSecond: 20,
  challengeMs: 10 * SECOND,
  // One, and two more for a network that lost the answer.
  maxProofs: 3,
  maxConnections: 2048,
};

/** How long one address may take, its handshake included; a dead port says so at once, a lost packet never. */
export const ADDRESS_DIAL_MS = 3000;
/** Pending handshakes: ten silent sockets block all new peers with libp2p's default of 10. */
export const MAX_PENDING_CONNECTIONS = 256;
/** A handshake takes 15 ms; a silent socket must not hold its place for libp2p's 10 s. */
export const UPGRADE_TIMEOUT_MS = 3000;
/** New connections per second of one address; libp2p's 5 refuses the second dozen of nodes on one machine. */
export const CONNECTIONS_PER_SECOND = 200;
/** Streams that arrive before the muxer is set up: with the default of 10 a burst after a dial ends the connection. */
export const MAX_EARLY_STREAMS = 4096;
/** Unread bytes of a paused stream stay below libp2p's read buffer of 4 MiB, which resets the stream when full. */
export const STREAM_WINDOW_BYTES: number = 2 * MIB;
/** How often a silent connection is tested; every 10 s, the default, costs 11 % of a core at 500 connections. */
export const MONITOR_INTERVAL_MS: number = MINUTE;
