/** The limits of the mechanisms that keep or fetch what strangers say: the data of `docs/reference/limits.md`. */
import type { Limit } from "../p2p/limits/limit.ts";
import { DHT_LIMITS } from "./dht/limits.ts";
import * as registry from "./github-issues/limits.ts";
import { MDNS_LIMITS } from "./mdns/limits.ts";
import { RENDEZVOUS_LIMITS } from "./rendezvous/limits.ts";

/** The registry's limits under the names in which they are shown; their reasons in full are in its own file. */
const REGISTRY_LIMITS: Readonly<Record<string, Limit>> = {
  registryRequestMs: {
    value: registry.REQUEST_TIMEOUT_MS,
    unit: "ms",
    what: "How long one request to GitHub may take.",
    why: "GitHub answers within a second.",
  },
  registryAnswerBytes: {
    value: registry.MAX_ANSWER_BYTES,
    unit: "bytes",
    what: "Largest answer that is read.",
    why: "A page of the longest comments, each character written as an escape.",
  },
  registryCommentPages: {
    value: registry.MAX_COMMENT_PAGES,
    unit: "count",
    what: "Pages of comments that are read of an issue.",
    why: "GitHub takes 2,500 comments on an issue, and gives a hundred at once.",
  },
  registryAddresses: {
    value: registry.MAX_RECORD_ADDRESSES,
    unit: "count",
    what: "Addresses in a record; one with more is not believed.",
    why: "Nobody dials that many.",
  },
  registryAddressChars: {
    value: registry.MAX_ADDRESS_CHARS,
    unit: "count",
    what: "Characters of an address in a record.",
    why: "One through a relay with a certificate hash has under 300.",
  },
  registryRecordMs: {
    value: registry.MAX_RECORD_TTL_MS,
    unit: "ms",
    what: "How long a record is believed at most, whatever it says.",
    why: "Addresses do not stay true that long.",
  },
  registrySkewMs: {
    value: registry.CLOCK_SKEW_MS,
    unit: "ms",
    what: "How far ahead of the reader's clock a record may be written.",
    why: "Both clocks are set by GitHub's, so little is left but rounding.",
  },
  registryAnonymousMs: {
    value: registry.ANONYMOUS_REFRESH_MS,
    unit: "ms",
    what: "Least time between two readings without a token.",
    why: "GitHub answers 60 requests an hour then; this is half of them.",
  },
  registryEditGapMs: {
    value: registry.MIN_EDIT_GAP_MS,
    unit: "ms",
    what: "Least time between two edits of the own record.",
    why: "GitHub allows 80 writes a minute to all nodes that share a token.",
  },
  registryBackoffMs: {
    value: registry.BACKOFF_MAX_MS,
    unit: "ms",
    what: "Longest pause after a failure that may pass.",
    why: "A registry that is back is used again within five minutes.",
  },
  registryCleanup: {
    value: registry.MAX_CLEANUP,
    unit: "count",
    what: "Expired records of others that are deleted in one go.",
    why: "GitHub asks for a second between writes.",
  },
};

/** Headings, and the limits under each. */
export const DISCOVERY_LIMIT_GROUPS: readonly {
  readonly title: string;
  readonly limits: Readonly<Record<string, Limit>>;
}[] = [
  { title: "Rendezvous", limits: RENDEZVOUS_LIMITS },
  { title: "DHT", limits: DHT_LIMITS },
  { title: "Multicast DNS", limits: MDNS_LIMITS },
  { title: "Registry on GitHub Issues", limits: REGISTRY_LIMITS },
];
