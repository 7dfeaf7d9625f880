/** What the check of a database finds. */

/** A list of more says nothing new: the database needs its backup. */
export const MAX_FINDINGS = 100;

/** What to do about damage that is not one task's. */
export const RESTORE = "stop the node, keep a copy of the files, and restore a backup";
/** What to do about a damaged task. */
export const RESUBMIT = "submit it again; what is intact of it, mcpp tasks shows";
/** What to do about a damaged result that waits for its delivery. */
export const NOTHING = "nothing: it is dropped, and the queue gives the task out again";

/** One thing that is wrong with a database. */
export interface StoreFinding {
  readonly what: string;
  /** The task that it concerns, if it is one task. */
  readonly taskId?: string | undefined;
  readonly todo: string;
}

/** What a check found. */
export interface StoreReport {
  /** The file, or where the database is, without secrets. */
  readonly path: string;
  /** Of the file and its write-ahead log, or of the schema's tables and indexes. */
  readonly bytes: number;
  readonly tasks: number;
  /** Results that wait for their delivery. */
  readonly outbox: number;
  /** Entries of the cache, with tombstones. */
  readonly cache: number;
  /** Empty: no damage was found. At most {@link MAX_FINDINGS}. */
  readonly findings: readonly StoreFinding[];
  /** Ordinary, but good to know. */
  readonly notes: readonly string[];
}
