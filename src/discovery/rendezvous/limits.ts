/** All limits of the rendezvous wire, with the reason for each. */

/** What a rendezvous node keeps for others. */
export interface RendezvousLimits {
  /** Registrations in all; at one or two kilobytes each this is 20 MB. */
  readonly maxTotal: number;
  /** Registrations in one namespace. */
  readonly maxPerNamespace: number;
  /** Namespaces that one member of the group may be in. */
  readonly maxPerPeer: number;
  /** The same four for those who are in no group with this node. */
  readonly strangersTotal: number;
  readonly strangersPerNamespace: number;
  readonly strangerPerPeer: number;
  /** Registrations of strangers who come from one address: whoever makes many peer ids still has few addresses. */
  readonly strangersPerAddress: number;
  /** Longest time that a registration of a stranger lasts. */
  readonly strangerTtlMs: number;
  /** Requests of a stranger in a burst, and per second after it. */
  readonly strangerBurst: number;
  readonly strangerPerSecond: number;
  /** The same for a member. */
  readonly memberBurst: number;
  readonly memberPerSecond: number;
}

const SECOND = 1000;
const HOUR = 3600 * SECOND;

/** How long a registration lasts that names no time (specification). */
export const DEFAULT_TTL_MS: number = 2 * HOUR;
/** The longest time that a registration may ask for (specification). */
export const MAX_TTL_MS: number = 72 * HOUR;
/** The longest namespace, in bytes (specification). */
export const MAX_NAMESPACE_BYTES = 255;
/** A signed record with twenty addresses has about a kilobyte and a half. */
export const MAX_RECORD_BYTES: number = 8 * 1024;
/** A request: a record, a namespace, a cookie. */
export const MAX_REQUEST_BYTES: number = 16 * 1024;
/** An answer that we read, also from a server that has larger pages than ours. */
export const MAX_ANSWER_BYTES: number = 1024 * 1024;
/** Registrations on one page. */
export const PAGE_SIZE = 100;
/** Bytes of the records on one page; the next page has the rest. */
export const MAX_PAGE_BYTES: number = 256 * 1024;
/** Pages read in one search: as many as a full namespace of ours has, twice. A server that never ends is left. */
export const MAX_PAGES = 50;
/** How long a stream may be open without a request. */
export const STREAM_IDLE_MS: number = 30 * SECOND;
/** Streams of this protocol that one connection may have open; one is enough for anybody. */
export const MAX_STREAMS = 8;
/** How long one request may take, dialling included. */
export const REQUEST_MS: number = 5 * SECOND;

/** What holds unless a test says otherwise. */
export const DEFAULT_RENDEZVOUS_LIMITS: RendezvousLimits = {
  maxTotal: 10_000,
  // Twice the peers that one node is built to serve.
  maxPerNamespace: 2000,
  maxPerPeer: 64,
  // A tenth: however many strangers come, nine tenths are left for members.
  strangersTotal: 1000,
  strangersPerNamespace: 200,
  // One for itself, and some for its applications.
  strangerPerPeer: 4,
  // The machines behind one router.
  strangersPerAddress: 32,
  strangerTtlMs: DEFAULT_TTL_MS,
  // A start: register, then a few pages.
  strangerBurst: 20,
  strangerPerSecond: 1,
  memberBurst: 200,
  memberPerSecond: 50,
};
