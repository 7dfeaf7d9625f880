/** Sizes and rates of messages. */
import { type Limit, KIB, MIB, SECOND } from "./limit.ts";

type Name =
  | "maxFrameBytes"
  | "strangerFrameBytes"
  | "maxJsonDepth"
  | "frameMs"
  | "frameBytesPerSecond"
  | "highWaterBytes"
  | "maxUnsentBytes"
  | "messageBurst"
  | "messagesPerSecond"
  | "strangerBurst"
  | "strangerPerSecond";

/** The limits by name. */
export const MESSAGE_LIMITS: { readonly [N in Name]: Limit } = {
  maxFrameBytes: {
    value: 16 * MIB,
    unit: "bytes",
    what: "Largest message body on any stream, both ways.",
    why: "The default of the protocol (Profile E, requirement 10).",
  },
  strangerFrameBytes: {
    value: 64 * KIB,
    unit: "bytes",
    what: "Largest message body of a caller who may only ask for status.",
    why: "A status question has a hundred bytes; nobody unknown gets to fill memory.",
  },
  maxJsonDepth: {
    value: 128,
    unit: "count",
    what: "How deep arrays and objects of a message may be nested.",
    why: "Deeper ones exhaust the stack of whatever walks through them; real messages stay below twenty.",
  },
  frameMs: {
    value: 30 * SECOND,
    unit: "ms",
    what: "How long a message that has begun may take to arrive, however small it is.",
    why: "A byte a second would hold its place for ever; the slowest link brings the head and a small body in this time.",
  },
  frameBytesPerSecond: {
    value: 32 * KIB,
    unit: "bytes/s",
    what: "How fast a large message must arrive beyond that time.",
    why: "A quarter of a megabit: slower, and the largest message would take more than nine minutes.",
  },
  highWaterBytes: {
    value: 4 * MIB,
    unit: "bytes",
    what: "Unsent bytes at which a stream takes no more calls and reads no more requests.",
    why: "A few round trips of a fast network; more only adds delay.",
  },
  maxUnsentBytes: {
    value: 64 * MIB,
    unit: "bytes",
    what: "Unsent bytes at which the reader is taken for dead and the stream is reset.",
    why: "Four messages of the largest size behind a reader that does not read.",
  },
  messageBurst: {
    value: 200_000,
    unit: "count",
    what: "Messages of one peer that are read at once after a pause.",
    why: "Four seconds of the rate below.",
  },
  messagesPerSecond: {
    value: 50_000,
    unit: "/s",
    what: "Messages of one peer that are read in a second; what is beyond waits in the network.",
    why: "Twice what one connection carries when nothing else is done, so honest work never meets it.",
  },
  strangerBurst: {
    value: 40,
    unit: "count",
    what: "Messages at once of a caller who may only ask for status; its stream is reset beyond.",
    why: "A first look around asks ten questions.",
  },
  strangerPerSecond: {
    value: 20,
    unit: "/s",
    what: "Messages a second of a caller who may only ask for status.",
    why: "Two thousandths of what the node answers in a second.",
  },
};
