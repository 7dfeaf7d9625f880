/** An {@link OutboxStore} in a `Map`, in the order in which the entries came. */
import type { Lease } from "../../task/queue.ts";
import type { OutboxEntry, OutboxKey, OutboxStore } from "../../task/outbox.ts";
import type { Lifetime } from "../stores.ts";

/** The outbox of a node that keeps nothing. */
export class MemoryOutboxStore implements OutboxStore {
  readonly #lifetime: Lifetime;
  readonly #entries = new Map<string, OutboxEntry>();

  constructor(lifetime: Lifetime) {
    this.#lifetime = lifetime;
  }

  async put(entry: OutboxEntry): Promise<void> {
    this.#lifetime.check();
    const key = keyOf(entry.queue, entry.lease);
    this.#entries.delete(key);
    this.#entries.set(key, structuredClone(entry));
  }

  async queues(): Promise<readonly string[]> {
    this.#lifetime.check();
    return [...new Set([...this.#entries.values()].map(({ queue }) => queue))];
  }

  async keys(queue: string, limit: number): Promise<readonly OutboxKey[]> {
    this.#lifetime.check();
    const waiting = [...this.#entries.values()].filter((entry) => entry.queue === queue);
    const oldestFirst = waiting.toSorted((a, b) => a.createdAtMs - b.createdAtMs);
    return oldestFirst
      .slice(0, limit)
      .map(({ lease, createdAtMs }) => ({ queue, lease: { ...lease }, createdAtMs }));
  }

  async get(queue: string, lease: Lease): Promise<OutboxEntry | undefined> {
    this.#lifetime.check();
    const entry = this.#entries.get(keyOf(queue, lease));
    return entry?.lease.token === lease.token ? structuredClone(entry) : undefined;
  }

  async remove(queue: string, lease: Lease): Promise<void> {
    this.#lifetime.check();
    const key = keyOf(queue, lease);
    if (this.#entries.get(key)?.lease.token === lease.token) this.#entries.delete(key);
  }
}

function keyOf(queue: string, lease: Lease): string {
  return JSON.stringify([queue, lease.taskId]);
}
