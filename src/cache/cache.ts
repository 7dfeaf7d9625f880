/** The shared cache as everybody sees it, whether it is in this process or on a peer. Best effort: entries may go at any time. */
import type { CallOptions } from "../peer/rpc.ts";

/** A value that was found. A stored null is a hit. */
export interface CacheHit {
  readonly value: unknown;
  /** Grows with every write of the key: the stamp of version.ts. */
  readonly version: number;
  /** When it ends, in milliseconds since 1970; absent means never by time. */
  readonly expiresAtMs?: number | undefined;
}

/** Keys are free text of at most this many characters. */
export const MAX_KEY_CHARS = 1024;
/** A value must fit into one frame with room for its envelope. */
export const MAX_VALUE_BYTES: number = 16 * 1024 * 1024 - 64 * 1024;

/**
 * Computes a value for a cache.
 *
 * @param signal - aborts when nobody needs the value any more
 */
export type Compute = (signal: AbortSignal) => Promise<unknown>;

/** Options of {@link SharedCache.getOrCompute}. */
export interface ComputeOptions extends CallOptions {
  /** How long the value holds once it is computed; absent means until it is evicted. */
  readonly ttlMs?: number | undefined;
  /** How long waiting and computing may take together. Default {@link DEFAULT_COMPUTE_TIMEOUT_MS}. */
  readonly timeoutMs?: number | undefined;
}

/** How long a computation may take if the caller names nothing: what takes longer is work for the task queue. */
export const DEFAULT_COMPUTE_TIMEOUT_MS = 600_000;

/** A value that was found or computed. */
export interface Computed {
  readonly value: unknown;
  /** Whether this very call computed it. */
  readonly computed: boolean;
  /** Its version in the cache; absent if it was computed but could not be kept. */
  readonly version?: number | undefined;
}

/** How the copying to one peer goes. Counts begin with the process. */
export interface ReplicaStats {
  /** The peer id or multiaddr, as it was configured. */
  readonly peer: string;
  /** `current`: has all there was when last looked; `behind`: is being brought up; `away`: cannot be reached. */
  readonly state: "current" | "behind" | "away";
  /** Entries that the peer took from us. */
  readonly sent: number;
  /** Entries that we took from the peer. */
  readonly received: number;
  /** Entries that were too large to be sent at once and wait for the next comparison. */
  readonly deferred: number;
  /** Entries that one of both refused because their stamps lie too far in the future. */
  readonly refused: number;
  /** Exchanges that failed. */
  readonly failures: number;
}

/** What a cache holds and does. */
export interface CacheStats {
  /** Entries that hold. */
  readonly entries: number;
  /** Their keys and JSON texts in UTF-8. */
  readonly bytes: number;
  readonly tombstones: number;
  /** Values that are being computed under a lease. */
  readonly computing: number;
  /** Callers that wait for those. */
  readonly waiting: number;
  readonly replicas: readonly ReplicaStats[];
}

/** A key-value cache. */
export interface SharedCache {
  /** @returns the entry, or undefined if there is none that still holds */
  get(key: string, options?: CallOptions): Promise<CacheHit | undefined>;
  has(key: string, options?: CallOptions): Promise<boolean>;
  /** @param ttlMs - how long it holds; absent means until it is evicted @returns the new version */
  set(key: string, value: unknown, ttlMs?: number, options?: CallOptions): Promise<number>;
  /** @returns whether there was an entry */
  delete(key: string, options?: CallOptions): Promise<boolean>;
  stats(options?: CallOptions): Promise<CacheStats>;
  /**
   * The value of the key; if there is none, `compute` makes it, while all others who ask this cache for it wait, in
   * whatever process they are. If the computing one fails, gives up or dies, the one that waits longest is the next
   * to compute; a failure is never kept, and only its own caller learns of it.
   *
   * @throws what `compute` threw; DeadlineError, CancelledError, InvalidInputError or MessageTooLargeError for a value
   *   that cannot be kept
   */
  getOrCompute(key: string, compute: Compute, options?: ComputeOptions): Promise<Computed>;
}
