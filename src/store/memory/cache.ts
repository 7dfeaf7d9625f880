/**
 * A {@link CacheStore} in a `Map`.
 *
 * The order of the map is the order of the writes, so what goes first is in front. Nothing awaits in the middle
 * of a change.
 */
import type { CacheHit } from "../../cache/cache.ts";
import type { CacheBounds, CacheStore } from "../../cache/store.ts";
import { cacheText, entryBytes } from "../cache-rules.ts";
import type { Lifetime } from "../stores.ts";

interface Entry {
  readonly version: number;
  /** JSON text; undefined for a tombstone, which stands for an entry that was deleted or has run out. */
  readonly text: string | undefined;
  readonly bytes: number;
  readonly expiresAtMs: number | undefined;
}

/** The cache of a node that keeps nothing. */
export class MemoryCacheStore implements CacheStore {
  readonly #lifetime: Lifetime;
  readonly #bounds: CacheBounds;
  readonly #live = new Map<string, Entry>();
  readonly #tombstones = new Map<string, Entry>();
  #bytes = 0;
  /** No version up to this one is given again, so that a forgotten key cannot fall back. */
  #floor = 0;
  /** No entry runs out before this instant. */
  #soonestEndMs = Infinity;

  constructor(lifetime: Lifetime, bounds: CacheBounds) {
    this.#lifetime = lifetime;
    this.#bounds = bounds;
  }

  async get(key: string, nowMs: number): Promise<CacheHit | undefined> {
    this.#lifetime.check();
    const entry = this.#live.get(key);
    if (entry?.text === undefined || !holds(entry, nowMs)) return undefined;
    const hit = { value: parse(entry.text), version: entry.version };
    return entry.expiresAtMs === undefined ? hit : { ...hit, expiresAtMs: entry.expiresAtMs };
  }

  async set(key: string, value: unknown, expiresAtMs: number | undefined, nowMs: number): Promise<number> {
    this.#lifetime.check();
    const text = cacheText(value);
    const bytes = entryBytes(key, text, this.#bounds);
    const version = this.#nextVersion(key);
    this.#forget(key);
    this.#live.set(key, { version, text, bytes, expiresAtMs });
    this.#bytes += bytes;
    this.#soonestEndMs = Math.min(this.#soonestEndMs, expiresAtMs ?? Infinity);
    if (this.#isOver()) this.#sweep(nowMs);
    while (this.#isOver()) this.#evictOldest(this.#live);
    return version;
  }

  async delete(key: string, nowMs: number): Promise<boolean> {
    this.#lifetime.check();
    const entry = this.#live.get(key);
    if (!entry) return false;
    this.#bury(key, this.#nextVersion(key));
    return holds(entry, nowMs);
  }

  async stats(nowMs: number): Promise<{ readonly entries: number; readonly bytes: number }> {
    this.#lifetime.check();
    const held = [...this.#live.values()].filter((entry) => holds(entry, nowMs));
    return { entries: held.length, bytes: held.reduce((sum, entry) => sum + entry.bytes, 0) };
  }

  #isOver(): boolean {
    return this.#live.size > this.#bounds.maxEntries || this.#bytes > this.#bounds.maxBytes;
  }

  #nextVersion(key: string): number {
    const last = this.#live.get(key) ?? this.#tombstones.get(key);
    return (last?.version ?? this.#floor) + 1;
  }

  /** Removes whatever there is of a key. */
  #forget(key: string): void {
    this.#bytes -= this.#live.get(key)?.bytes ?? 0;
    this.#live.delete(key);
    this.#tombstones.delete(key);
  }

  #bury(key: string, version: number): void {
    this.#forget(key);
    this.#tombstones.set(key, { version, text: undefined, bytes: 0, expiresAtMs: undefined });
    if (this.#tombstones.size > this.#bounds.maxEntries) this.#evictOldest(this.#tombstones);
  }

  /** Makes tombstones of what has run out. */
  #sweep(nowMs: number): void {
    if (this.#soonestEndMs > nowMs) return;
    let soonestEndMs = Infinity;
    for (const [key, entry] of this.#live) {
      if (holds(entry, nowMs)) soonestEndMs = Math.min(soonestEndMs, entry.expiresAtMs ?? Infinity);
      else this.#bury(key, entry.version);
    }
    this.#soonestEndMs = soonestEndMs;
  }

  #evictOldest(entries: Map<string, Entry>): void {
    const [oldest] = entries;
    if (!oldest) return;
    const [key, entry] = oldest;
    this.#floor = Math.max(this.#floor, entry.version);
    this.#forget(key);
  }
}

function holds(entry: Entry, nowMs: number): boolean {
  return entry.expiresAtMs === undefined || entry.expiresAtMs > nowMs;
}

function parse(text: string): unknown {
  return JSON.parse(text);
}
