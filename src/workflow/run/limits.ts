/** Limits of runs: how long a conductor's word holds, and how much is shown and kept. */

/** How long a conductor that does not renew its lease keeps a run from others: a few lost renewals long. */
export const CONDUCTOR_LEASE_MS = 30_000;
/** How often a conductor renews the leases of the runs it conducts, all in one write. */
export const CONDUCTOR_RENEW_MS: number = CONDUCTOR_LEASE_MS / 3;
/** Runs that one process conducts at once; the others wait until one has ended. */
export const MAX_CONDUCTED = 500;
/** Events read from a log at a time: a page of the largest results is still small beside the heap. */
export const EVENT_PAGE = 200;
/** Events that one decision may lead to before they are written: bounds a transaction. */
export const MAX_BATCH_EVENTS = 500;
/** Tasks submitted in one transaction of the queue. */
export const MAX_SUBMIT_TASKS = 200;
/** Page size of a list of runs if the caller names none. */
export const DEFAULT_RUN_LIMIT = 50;
/** The largest page of runs. */
export const MAX_RUN_LIMIT = 500;
/** How long one wait for a run may last; whoever waits asks again. */
export const MAX_RUN_WAIT_MS = 300_000;
/** The largest bounded list of events in one answer. */
export const MAX_EVENTS_SHOWN = 200;
/** The pause after a run could not be conducted, e.g. because the store failed; it doubles up to {@link MAX_PAUSE_MS}. */
export const FIRST_PAUSE_MS = 200;
/** The longest pause. */
export const MAX_PAUSE_MS = 30_000;
/** How often ended runs that are old enough are looked for. */
export const PRUNE_EVERY_MS = 3_600_000;
/** Ended runs deleted in one transaction. */
export const PRUNE_RUNS = 50;
