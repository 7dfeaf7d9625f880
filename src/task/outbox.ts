/** Settlements that a worker could not deliver yet. They outlive the worker's process. */
import type { Failure, Lease } from "./queue.ts";
import type { JsonObject } from "../content/json.ts";

/** What is known of a settlement without reading its body, which may have megabytes. */
export interface OutboxKey {
  /** The queue it belongs to: a peer id, or a multiaddr that ends in one. */
  readonly queue: string;
  readonly lease: Lease;
  readonly createdAtMs: number;
}

/** One settlement on its way to the queue that owns the task. */
export interface OutboxEntry extends OutboxKey {
  readonly outcome:
    | { readonly kind: "completed"; readonly result: JsonObject }
    | { readonly kind: "failed"; readonly failure: Failure };
}

/** Where they wait. Keyed by queue and task: a later entry for the same task replaces the earlier one. */
export interface OutboxStore {
  put(entry: OutboxEntry): Promise<void>;
  /** The queues that something waits for. */
  queues(): Promise<readonly string[]>;
  /** What waits for a queue, oldest first, at most `limit`. */
  keys(queue: string, limit: number): Promise<readonly OutboxKey[]>;
  /** @returns undefined if it has gone, or was replaced by that of another lease */
  get(queue: string, lease: Lease): Promise<OutboxEntry | undefined>;
  remove(queue: string, lease: Lease): Promise<void>;
}
