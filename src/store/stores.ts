/** What every engine offers: the stores of a node over one place to keep things. */
import type { CacheBounds, CacheStore } from "../cache/store.ts";
import { StoreClosedError } from "../errors.ts";
import type { OutboxStore } from "../task/outbox.ts";
import type { TaskStore } from "../task/store.ts";
import type { WorkflowStore } from "../workflow/run/store.ts";

/** The stores of one node. */
export interface Stores extends AsyncDisposable {
  readonly tasks: TaskStore;
  readonly outbox: OutboxStore;
  readonly cache: CacheStore;
  readonly workflows: WorkflowStore;
  /** The engine's name, as in the configuration. */
  readonly engine: string;
  /**
   * Finishes what was asked before and lets go of the file. Repeating it is harmless; every method of the stores
   * rejects with {@link StoreClosedError} from the moment it is called.
   */
  close(): Promise<void>;
}

/** Bounds of the cache if nothing is configured: small beside the task queue, on disk as in memory. */
export const DEFAULT_CACHE_BOUNDS: CacheBounds = { maxEntries: 10_000, maxBytes: 64 * 1024 * 1024 };

/** How many overdue tasks one call settles, so that a flood after a long pause does not hold the event loop. */
export const MAX_DUE_BATCH = 1000;

/**
 * How many lanes a claim that does not name its lanes looks at: about 5 µs each. A queue with more ready lanes than
 * this has its priorities kept among those looked at only, and the next claim goes on where this one stopped.
 */
export const MAX_SCANNED_LANES = 500;

/** Whether a set of stores is still open. */
export class Lifetime {
  #closed = false;

  /** @throws StoreClosedError after {@link Lifetime.end} */
  check(): void {
    if (this.#closed) throw new StoreClosedError("the store is closed");
  }

  /** @returns whether this call was the one that ended it */
  end(): boolean {
    const first = !this.#closed;
    this.#closed = true;
    return first;
  }
}
