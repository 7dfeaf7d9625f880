/** Settlements that a worker could not deliver yet. They outlive the worker's process. */
import type { Failure, Lease } from "./queue.ts";
import type { JsonObject } from "../content/json.ts";

/** One settlement on its way to the queue that owns the task. */
export interface OutboxEntry {
  /** The queue it belongs to: a peer id, or a multiaddr that ends in one. */
  readonly queue: string;
  readonly lease: Lease;
  readonly outcome:
    | { readonly kind: "completed"; readonly result: JsonObject }
    | { readonly kind: "failed"; readonly failure: Failure };
  readonly createdAtMs: number;
}

/** Where they wait. Keyed by queue and task: a later entry for the same task replaces the earlier one. */
export interface OutboxStore {
  put(entry: OutboxEntry): Promise<void>;
  /** All of them, oldest first, at most `limit`. */
  list(limit: number): Promise<readonly OutboxEntry[]>;
  remove(queue: string, lease: Lease): Promise<void>;
}
