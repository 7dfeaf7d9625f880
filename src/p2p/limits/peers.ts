/** What is counted for a peer over all its connections. */
import { type Limit, KIB, MIB, MINUTE } from "./limit.ts";

type Name =
  | "peerBytesBurst"
  | "peerBytesPerSecond"
  | "turnBytes"
  | "strangerBytesBurst"
  | "strangerBytesPerSecond"
  | "maxBegun"
  | "maxHeldBytes"
  | "maxPeerUnsentBytes"
  | "strangerUnsentBytes"
  | "maxStrikes"
  | "strikesPerMinute"
  | "keepOutMs"
  | "logWindowMs"
  | "logBurst"
  | "logPerMinute"
  | "maxRememberedPeers"
  | "rememberMs";

/** The limits by name. */
export const PEER_LIMITS: { readonly [N in Name]: Limit } = {
  peerBytesBurst: {
    value: 128 * MIB,
    unit: "bytes",
    what: "Bytes of one peer that are read at once after a pause.",
    why: "Eight messages of the largest size.",
  },
  peerBytesPerSecond: {
    value: 64 * MIB,
    unit: "bytes/s",
    what: "Bytes of one peer that are read in a second; what is beyond waits in the network.",
    why: "Half of what one core decrypts, so that the other half is left for everybody else.",
  },
  turnBytes: {
    value: 256 * KIB,
    unit: "bytes",
    what: "Bytes of one connection that are read, and of answers to one peer that are made, before it is the turn of others.",
    why: "Decrypting them takes two milliseconds; Node alone would read two megabytes.",
  },
  strangerBytesBurst: {
    value: 2 * MIB,
    unit: "bytes",
    what: "Bytes at once of a caller who may only ask for status.",
    why: "Connecting takes some kilobytes; an old Python peer may show the token in a line of a megabyte.",
  },
  strangerBytesPerSecond: {
    value: 256 * KIB,
    unit: "bytes/s",
    what: "Bytes a second of a caller who may only ask for status.",
    why: "Twenty questions a second have four kilobytes.",
  },
  maxBegun: {
    value: 64,
    unit: "count",
    what: "Requests of one peer that begin in one turn of the event loop; the others follow in the next.",
    why: "A millisecond or two; whoever else has asked meanwhile is not kept waiting for longer.",
  },
  maxHeldBytes: {
    value: 8 * MIB,
    unit: "bytes",
    what: "Unsent bytes on all streams of one peer beyond which none of its requests begins or is read, until half are sent.",
    why: "Two streams as full as they may be; what a peer does not read is not computed.",
  },
  maxPeerUnsentBytes: {
    value: 64 * MIB,
    unit: "bytes",
    what: "Unsent bytes on all streams of one peer; the stream that goes beyond is reset.",
    why: "Answers of the largest size to four requests that were under way at once.",
  },
  strangerUnsentBytes: {
    value: MIB,
    unit: "bytes",
    what: "The same for a caller who may only ask for status.",
    why: "Five hundred answers about status.",
  },
  maxStrikes: {
    value: 20,
    unit: "count",
    what: "Broken messages, floods and other offences of one peer before it is kept out.",
    why: "A peer of another version breaks a few streams before it gives up.",
  },
  strikesPerMinute: {
    value: 10,
    unit: "/min",
    what: "How fast they are forgiven.",
    why: "One mistake in six seconds harms nobody.",
  },
  keepOutMs: {
    value: MINUTE,
    unit: "ms",
    what: "How long a peer is kept out after too many offences.",
    why: "Long enough to make a flood cheap for us, short enough for a program that was mended.",
  },
  logWindowMs: {
    value: MINUTE,
    unit: "ms",
    what: "The same offence of the same peer is logged once in this time, with how often it happened before.",
    why: "A flood must not become a flood of log lines.",
  },
  logBurst: {
    value: 32,
    unit: "count",
    what: "Lines about offences at once, of all peers together; the next line says how many were left out.",
    why: "Enough to see a crowd.",
  },
  logPerMinute: {
    value: 30,
    unit: "/min",
    what: "Lines about offences in a minute, of all peers together.",
    why: "Ten megabytes in a day at most, however many identities a crowd has.",
  },
  maxRememberedPeers: {
    value: 4096,
    unit: "count",
    what: "Peers without a connection whose counters are kept; the longest gone is forgotten first.",
    why: "Two kilobytes each; the memory of a hostile crowd stays below ten megabytes.",
  },
  rememberMs: {
    value: 5 * MINUTE,
    unit: "ms",
    what: "How long the counters of a peer without a connection are kept.",
    why: "Every allowance is full again by then, so that forgetting gives nothing away.",
  },
};
