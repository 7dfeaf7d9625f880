/** Every bound of the registry on GitHub Issues, with its reason. */

/** GitHub answers within a second; an answer after this is taken for none. */
export const REQUEST_TIMEOUT_MS = 15_000;
/** The most that the API gives at once, so that reading takes the fewest requests. */
export const PER_PAGE = 100;
/** GitHub takes 2,500 comments on an issue. */
export const MAX_COMMENT_PAGES = 26;
/** A repository with more open issues than these pages hold should not be a registry. */
export const MAX_ISSUE_PAGES = 50;
/** A page of 100 comments of 65,536 characters, each written as the six bytes of an escape, with room for the rest. */
export const MAX_ANSWER_BYTES: number = PER_PAGE * 65_536 * 6 + 1024 * 1024;
/** A token of GitHub has up to some 250 characters. */
export const MAX_TOKEN_CHARS = 1024;

/** A record with more addresses is noise; nobody dials that many. */
export const MAX_RECORD_ADDRESSES = 16;
/** A multiaddr through a relay with two peer ids and a certificate hash has under 300 characters. */
export const MAX_ADDRESS_CHARS = 512;
/** No record is believed for longer, whatever it says: addresses do not stay true that long. */
export const MAX_RECORD_TTL_MS = 86_400_000;
/** Records of the Python system say when they were written; they count for as long as they did there. */
export const OLD_RECORD_TTL_MS = 1_800_000;
/** How far the clocks of writer and reader may differ. Both are set by GitHub's, so little is left but rounding. */
export const CLOCK_SKEW_MS = 120_000;

/** Without a token GitHub answers 60 requests an hour, unchanged pages included: this is half of them. */
export const ANONYMOUS_REFRESH_MS = 120_000;
/** A record is renewed when this part of its time is over, so that one failed attempt does not end it. */
export const RENEW_AFTER = 0.5;
/** By how much that time differs between nodes that were started together. */
export const RENEW_JITTER = 0.1;
/** The least time between two edits: 80 writes a minute are allowed to all nodes that share a token. */
export const MIN_EDIT_GAP_MS = 10_000;
/** Addresses change several times while a node finds out how it is reached; they are published together. */
export const SETTLE_MS = 250;
/** Taking the record back must not hold up the end of the node. It expires by itself. */
export const WITHDRAW_MS = 3000;

/** Nodes that find no issue wait up to this long and look again, so that not all of them create one. */
export const CREATE_JITTER_MS = 1000;
/** How soon it is looked again whether there is an issue with a lower number; doubled up to the most. */
export const ISSUE_CHECK_FIRST_MS = 2000;
/** How often that is looked at once nothing has changed for a while. */
export const ISSUE_CHECK_MS = 300_000;

/** The first pause after a failure that may pass; the next are longer. */
export const BACKOFF_FIRST_MS = 1000;
/** The longest pause after such a failure. */
export const BACKOFF_MAX_MS = 300_000;
/** What GitHub asks for after a secondary limit if it does not say how long. */
export const SECONDARY_LIMIT_MS = 60_000;
/** A limit of GitHub is over within the hour; who says more is not believed. */
export const MAX_LIMIT_MS = 3_700_000;
/** Callers that were stopped at the same time come back spread over this part of the time that they waited. */
export const LIMIT_JITTER = 0.1;
/** How soon is asked again what cannot pass by itself, such as a missing permission. */
export const REFUSED_MS = 600_000;

/** How many expired records of others are deleted in one go. */
export const MAX_CLEANUP = 20;
/** GitHub asks for a second between writes. */
export const WRITE_GAP_MS = 1000;

/** `gh auth token` reads a file or a key ring. */
export const GH_TIMEOUT_MS = 10_000;
