/** All limits of the rendezvous wire, with the reason for each. */
import { KIB, type Limit, MIB, SECOND } from "../../p2p/limits/limit.ts";

const HOUR = 3600 * SECOND;

type Name =
  | "rendezvousTotal"
  | "rendezvousPerNamespace"
  | "rendezvousPerPeer"
  | "rendezvousStrangers"
  | "rendezvousStrangersPerNamespace"
  | "rendezvousPerStranger"
  | "rendezvousStrangersPerAddress"
  | "rendezvousStrangerTtlMs"
  | "rendezvousStrangerBurst"
  | "rendezvousStrangerPerSecond"
  | "rendezvousMemberBurst"
  | "rendezvousMemberPerSecond"
  | "rendezvousDefaultTtlMs"
  | "rendezvousMaxTtlMs"
  | "rendezvousNamespaceBytes"
  | "rendezvousRecordBytes"
  | "rendezvousRequestBytes"
  | "rendezvousAnswerBytes"
  | "rendezvousPage"
  | "rendezvousPageBytes"
  | "rendezvousPages"
  | "rendezvousIdleMs"
  | "rendezvousStreams"
  | "rendezvousRequestMs";

/** The limits by the names in which they are shown. A member is a peer of ours, a stranger any other. */
export const RENDEZVOUS_LIMITS: { readonly [N in Name]: Limit } = {
  rendezvousTotal: {
    value: 10_000,
    unit: "count",
    what: "Registrations that a rendezvous node keeps.",
    why: "At one or two kilobytes each this is 20 MB.",
  },
  rendezvousPerNamespace: {
    value: 2000,
    unit: "count",
    what: "Registrations in one namespace.",
    why: "Twice the peers that one node is built to serve.",
  },
  rendezvousPerPeer: {
    value: 64,
    unit: "count",
    what: "Namespaces that one member may be in.",
    why: "One for each application on a large machine.",
  },
  rendezvousStrangers: {
    value: 1000,
    unit: "count",
    what: "Registrations of all strangers.",
    why: "A tenth: however many strangers come, nine tenths are left for members.",
  },
  rendezvousStrangersPerNamespace: {
    value: 200,
    unit: "count",
    what: "Registrations of strangers in one namespace.",
    why: "A tenth of those of members.",
  },
  rendezvousPerStranger: {
    value: 4,
    unit: "count",
    what: "Namespaces that one stranger may be in.",
    why: "One for itself, and some for its applications.",
  },
  rendezvousStrangersPerAddress: {
    value: 32,
    unit: "count",
    what: "Registrations of strangers who come from one address.",
    why: "The machines behind one router: whoever makes many peer ids still has few addresses.",
  },
  rendezvousStrangerTtlMs: {
    value: 2 * HOUR,
    unit: "ms",
    what: "Longest time that a registration of a stranger lasts.",
    why: "The specification's default.",
  },
  rendezvousStrangerBurst: {
    value: 20,
    unit: "count",
    what: "Requests of a stranger at once.",
    why: "A start: register, then a few pages.",
  },
  rendezvousStrangerPerSecond: {
    value: 1,
    unit: "/s",
    what: "Requests of a stranger in a second after that.",
    why: "A node looks every few seconds at most.",
  },
  rendezvousMemberBurst: {
    value: 200,
    unit: "count",
    what: "Requests of a member at once.",
    why: "A full namespace, read ten times.",
  },
  rendezvousMemberPerSecond: {
    value: 50,
    unit: "/s",
    what: "Requests of a member in a second after that.",
    why: "Several processes behind one key, each looking for peers.",
  },
  rendezvousDefaultTtlMs: {
    value: 2 * HOUR,
    unit: "ms",
    what: "How long a registration lasts that names no time.",
    why: "The specification's.",
  },
  rendezvousMaxTtlMs: {
    value: 72 * HOUR,
    unit: "ms",
    what: "Longest time that a registration may ask for.",
    why: "The specification's.",
  },
  rendezvousNamespaceBytes: {
    value: 255,
    unit: "bytes",
    what: "Longest namespace.",
    why: "The specification's.",
  },
  rendezvousRecordBytes: {
    value: 8 * KIB,
    unit: "bytes",
    what: "Largest record.",
    why: "A signed one with twenty addresses has about a kilobyte and a half.",
  },
  rendezvousRequestBytes: {
    value: 16 * KIB,
    unit: "bytes",
    what: "Largest request.",
    why: "A record, a namespace and a cookie.",
  },
  rendezvousAnswerBytes: {
    value: MIB,
    unit: "bytes",
    what: "Largest answer that is read.",
    why: "Servers of others may have larger pages than ours.",
  },
  rendezvousPage: {
    value: 100,
    unit: "count",
    what: "Registrations on one page.",
    why: "A small group is one page; a large one is not one huge message.",
  },
  rendezvousPageBytes: {
    value: 256 * KIB,
    unit: "bytes",
    what: "Bytes of the records on one page; the next page has the rest.",
    why: "A hundred records of usual size, and some of the largest.",
  },
  rendezvousPages: {
    value: 50,
    unit: "count",
    what: "Pages read in one search. A server that never ends is left.",
    why: "As many as a full namespace of ours has, twice.",
  },
  rendezvousIdleMs: {
    value: 30 * SECOND,
    unit: "ms",
    what: "How long a stream may be open without a request.",
    why: "Ours carry one request each; other clients ask again on theirs.",
  },
  rendezvousStreams: {
    value: 8,
    unit: "count",
    what: "Streams of this protocol that one connection may have open.",
    why: "One is enough for anybody.",
  },
  rendezvousRequestMs: {
    value: 5 * SECOND,
    unit: "ms",
    what: "How long one request may take, dialling included.",
    why: "A handshake and three round trips over a slow line.",
  },
};

const valueOf = (name: Name): number => RENDEZVOUS_LIMITS[name].value;

/** What a rendezvous node keeps for others. */
export interface RendezvousLimits {
  readonly maxTotal: number;
  readonly maxPerNamespace: number;
  readonly maxPerPeer: number;
  readonly strangersTotal: number;
  readonly strangersPerNamespace: number;
  readonly strangerPerPeer: number;
  readonly strangersPerAddress: number;
  readonly strangerTtlMs: number;
  readonly strangerBurst: number;
  readonly strangerPerSecond: number;
  readonly memberBurst: number;
  readonly memberPerSecond: number;
}

/** What holds unless a test says otherwise. */
export const DEFAULT_RENDEZVOUS_LIMITS: RendezvousLimits = {
  maxTotal: valueOf("rendezvousTotal"),
  maxPerNamespace: valueOf("rendezvousPerNamespace"),
  maxPerPeer: valueOf("rendezvousPerPeer"),
  strangersTotal: valueOf("rendezvousStrangers"),
  strangersPerNamespace: valueOf("rendezvousStrangersPerNamespace"),
  strangerPerPeer: valueOf("rendezvousPerStranger"),
  strangersPerAddress: valueOf("rendezvousStrangersPerAddress"),
  strangerTtlMs: valueOf("rendezvousStrangerTtlMs"),
  strangerBurst: valueOf("rendezvousStrangerBurst"),
  strangerPerSecond: valueOf("rendezvousStrangerPerSecond"),
  memberBurst: valueOf("rendezvousMemberBurst"),
  memberPerSecond: valueOf("rendezvousMemberPerSecond"),
};

/** See {@link RENDEZVOUS_LIMITS}. */
export const DEFAULT_TTL_MS: number = valueOf("rendezvousDefaultTtlMs");
/** See {@link RENDEZVOUS_LIMITS}. */
export const MAX_TTL_MS: number = valueOf("rendezvousMaxTtlMs");
/** See {@link RENDEZVOUS_LIMITS}. */
export const MAX_NAMESPACE_BYTES: number = valueOf("rendezvousNamespaceBytes");
/** See {@link RENDEZVOUS_LIMITS}. */
export const MAX_RECORD_BYTES: number = valueOf("rendezvousRecordBytes");
/** See {@link RENDEZVOUS_LIMITS}. */
export const MAX_REQUEST_BYTES: number = valueOf("rendezvousRequestBytes");
/** See {@link RENDEZVOUS_LIMITS}. */
export const MAX_ANSWER_BYTES: number = valueOf("rendezvousAnswerBytes");
/** See {@link RENDEZVOUS_LIMITS}. */
export const PAGE_SIZE: number = valueOf("rendezvousPage");
/** See {@link RENDEZVOUS_LIMITS}. */
export const MAX_PAGE_BYTES: number = valueOf("rendezvousPageBytes");
/** See {@link RENDEZVOUS_LIMITS}. */
export const MAX_PAGES: number = valueOf("rendezvousPages");
/** See {@link RENDEZVOUS_LIMITS}. */
export const STREAM_IDLE_MS: number = valueOf("rendezvousIdleMs");
/** See {@link RENDEZVOUS_LIMITS}. */
export const MAX_STREAMS: number = valueOf("rendezvousStreams");
/** See {@link RENDEZVOUS_LIMITS}. */
export const REQUEST_MS: number = valueOf("rendezvousRequestMs");
