/** Streams of one peer. */
import { type Limit, MIB, MINUTE, SECOND } from "./limit.ts";

type Name =
  | "maxStreams"
  | "streamBurst"
  | "streamsPerSecond"
  | "maxMuxedStreams"
  | "maxEarlyStreams"
  | "muxedStreamBurst"
  | "muxedStreamsPerSecond"
  | "strangerMuxedBurst"
  | "strangerMuxedPerSecond"
  | "strangerStreams"
  | "negotiateMs"
  | "streamWindowBytes"
  | "idleMs"
  | "sessionIdleMs"
  | "closeMs"
  | "sweepMs";

/** The limits by name. */
export const STREAM_LIMITS: { readonly [N in Name]: Limit } = {
  maxStreams: {
    value: 128,
    unit: "count",
    what: "Streams of the protocols of this product that one peer may hold open, over all its connections.",
    why: "A node needs one, an MCP host one for each session, an old Python peer one for each request under way.",
  },
  streamBurst: {
    value: 256,
    unit: "count",
    what: "New streams of one peer at once.",
    why: "An old peer that comes back asks for everything at once, each question on a stream of its own.",
  },
  streamsPerSecond: {
    value: 64,
    unit: "/s",
    what: "New streams of one peer in a second.",
    why: "Opening one costs 1.3 ms of CPU: a twelfth of a core.",
  },
  maxMuxedStreams: {
    value: 512,
    unit: "count",
    what: "Streams of any protocol, negotiated or not, that one connection may hold open.",
    why: "Four times what this product may hold, for what libp2p itself opens.",
  },
  maxEarlyStreams: {
    value: 4096,
    unit: "count",
    what: "Streams on a connection that is just being opened.",
    why: "With libp2p's default of ten an honest burst right after a dial ends the connection.",
  },
  muxedStreamBurst: {
    value: 512,
    unit: "count",
    what: "New streams of any kind of one peer at once, those that are reset at once among them.",
    why: "Twice what this product answers, for what libp2p itself opens.",
  },
  muxedStreamsPerSecond: {
    value: 128,
    unit: "/s",
    what: "New streams of any kind of one peer in a second; the connection ends beyond.",
    why: "Twice what this product answers; only a storm of resets reaches it.",
  },
  strangerMuxedBurst: {
    value: 128,
    unit: "count",
    what: "The same at once for a caller who may only ask for status.",
    why: "An old Python peer opens a stream for each question, and may show the token only then.",
  },
  strangerMuxedPerSecond: {
    value: 32,
    unit: "/s",
    what: "The same in a second for a caller who may only ask for status.",
    why: "Half of a millisecond to a millisecond each: less than a thirtieth of a core.",
  },
  strangerStreams: {
    value: 32,
    unit: "count",
    what: "Streams of the protocols of this product that a caller who may only ask for status may hold open.",
    why: "It has four requests under way at most; the rest is room for closing.",
  },
  negotiateMs: {
    value: 5 * SECOND,
    unit: "ms",
    what: "How long a new stream may take to say which protocol it wants.",
    why: "Two round trips; a stream that never says it must not keep its place for libp2p's ten seconds.",
  },
  streamWindowBytes: {
    value: 2 * MIB,
    unit: "bytes",
    what: "Bytes that a peer may send on a stream before they are read.",
    why: "Unread bytes of a paused stream stay below libp2p's read buffer of 4 MiB, which resets the stream when full.",
  },
  idleMs: {
    value: 5 * MINUTE,
    unit: "ms",
    what: "How long a stream of calls stays open unused.",
    why: "Opening one again costs two milliseconds; keeping a thousand costs megabytes.",
  },
  sessionIdleMs: {
    value: 60 * MINUTE,
    unit: "ms",
    what: "How long a stream of an MCP session stays open unused.",
    why: "A session waits for its user, who may be at lunch.",
  },
  closeMs: {
    value: 2 * SECOND,
    unit: "ms",
    what: "How long a stream may take to say goodbye before it is reset.",
    why: "One lost packet is sent again within this time.",
  },
  sweepMs: {
    value: 5 * SECOND,
    unit: "ms",
    what: "How often idle streams, slow messages and forgotten peers are looked for.",
    why: "A sixth of the shortest time that it watches over; it looks at counters only.",
  },
};
