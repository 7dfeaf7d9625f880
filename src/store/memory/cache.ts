/**
 * A {@link CacheStore} in a `Map`.
 *
 * The order of the map is the order of the changes, so what goes first is in front. Nothing awaits in the middle
 * of a change.
 */
import { randomUUID } from "node:crypto";
import type { CacheHit } from "../../cache/cache.ts";
import type {
  CacheBounds,
  CacheFill,
  CacheMark,
  CacheRecord,
  CacheStore,
  ChangePage,
  MergeOutcome,
} from "../../cache/store.ts";
import { instantOf, isCredible, nextStamp, TOMBSTONE_LIFE_MS, type Version } from "../../cache/version.ts";
import { cacheText, entryBytes, judge, type Kept, keptOf, TOMBSTONE } from "../cache-rules.ts";
import type { Lifetime } from "../stores.ts";

interface Entry extends Kept, Version {
  /** The number of its last change. */
  readonly change: number;
}

/** The cache of a node that keeps nothing. */
export class MemoryCacheStore implements CacheStore {
  readonly origin: string = randomUUID();
  readonly #lifetime: Lifetime;
  readonly #bounds: CacheBounds;
  readonly #live = new Map<string, Entry>();
  readonly #tombstones = new Map<string, Entry>();
  #bytes = 0;
  #changes = 0;
  /** The highest stamp given or seen. */
  #clock = 0;
  /** The highest stamp among forgotten tombstones. */
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
    const hit = { value: parse(entry.text), version: entry.stamp };
    return entry.expiresAtMs === undefined ? hit : { ...hit, expiresAtMs: entry.expiresAtMs };
  }

  async set(key: string, value: unknown, expiresAtMs: number | undefined, nowMs: number): Promise<number> {
    this.#lifetime.check();
    const text = cacheText(value);
    const bytes = entryBytes(key, text, this.#bounds);
    const version = this.#newVersion(key, nowMs);
    this.#put(key, version, { text, bytes, expiresAtMs });
    this.#shrink(nowMs);
    return version.stamp;
  }

  async delete(key: string, nowMs: number): Promise<boolean> {
    this.#lifetime.check();
    const entry = this.#live.get(key);
    this.#put(key, this.#newVersion(key, nowMs), TOMBSTONE);
    this.#shrink(nowMs);
    return entry !== undefined && holds(entry, nowMs);
  }

  async stats(nowMs: number): Promise<CacheFill> {
    this.#lifetime.check();
    const held = [...this.#live.values()].filter((entry) => holds(entry, nowMs));
    const bytes = held.reduce((sum, entry) => sum + entry.bytes, 0);
    return { entries: held.length, bytes, tombstones: this.#tombstones.size };
  }

  async changes(since: number, limit: number): Promise<ChangePage> {
    this.#lifetime.check();
    const later = [...this.#live, ...this.#tombstones].filter(([, { change }]) => change > since);
    later.sort(([, a], [, b]) => a.change - b.change);
    const page = later.slice(0, limit);
    return {
      marks: page.map(([key, { stamp, origin }]) => ({ key, stamp, origin })),
      next: page.at(-1)?.[1].change ?? since,
      more: later.length > limit,
    };
  }

  async records(keys: readonly string[], nowMs: number): Promise<readonly CacheRecord[]> {
    this.#lifetime.check();
    return keys.flatMap((key) => {
      const entry = this.#last(key);
      if (!entry) return [];
      const { stamp, origin, text, expiresAtMs } = entry;
      if (text === undefined || !holds(entry, nowMs)) return [{ key, stamp, origin }];
      return [{ key, stamp, origin, entry: { value: parse(text), expiresAtMs } }];
    });
  }

  async wanted(marks: readonly CacheMark[], nowMs: number): Promise<readonly string[]> {
    this.#lifetime.check();
    return marks.flatMap((mark) => (this.#judge(mark, nowMs) === "taken" ? [mark.key] : []));
  }

  async merge(records: readonly CacheRecord[], nowMs: number): Promise<MergeOutcome> {
    this.#lifetime.check();
    const outcome = { taken: 0, stale: 0, refused: 0 };
    const kept = records.map((record) => keptOf(record, this.#bounds, nowMs));
    for (const [i, record] of records.entries()) {
      const verdict = this.#judge(record, nowMs);
      outcome[verdict] += 1;
      if (verdict === "taken") this.#put(record.key, record, kept[i] ?? TOMBSTONE);
    }
    this.#shrink(nowMs);
    return outcome;
  }

  #judge(mark: CacheMark, nowMs: number): ReturnType<typeof judge> {
    return judge(mark, this.#last(mark.key), this.#floor, nowMs);
  }

  #last(key: string): Entry | undefined {
    return this.#live.get(key) ?? this.#tombstones.get(key);
  }

  #newVersion(key: string, nowMs: number): Version {
    // A clock that was left behind as wrong must not stay the highest.
    if (!isCredible(this.#clock, nowMs)) this.#clock = 0;
    return { stamp: nextStamp(nowMs, this.#clock, this.#last(key)?.stamp ?? 0), origin: this.origin };
  }

  #put(key: string, { stamp, origin }: Version, kept: Kept): void {
    this.#forget(key);
    this.#changes += 1;
    this.#clock = Math.max(this.#clock, stamp);
    const { text, bytes, expiresAtMs } = kept;
    const entry = { stamp, origin, change: this.#changes, text, bytes, expiresAtMs };
    (text === undefined ? this.#tombstones : this.#live).set(key, entry);
    this.#bytes += bytes;
    this.#soonestEndMs = Math.min(this.#soonestEndMs, expiresAtMs ?? Infinity);
  }

  /** Removes whatever there is of a key. */
  #forget(key: string): void {
    this.#bytes -= this.#live.get(key)?.bytes ?? 0;
    this.#live.delete(key);
    this.#tombstones.delete(key);
  }

  /** Brings the cache within its bounds: what has run out goes first, then what came longest ago. */
  #shrink(nowMs: number): void {
    if (this.#isOver()) this.#sweep(nowMs);
    while (this.#isOver()) {
      const [oldest] = this.#live.keys();
      if (oldest === undefined) break;
      this.#forget(oldest);
    }
    for (const [key, { stamp }] of this.#tombstones) {
      const isOld = instantOf(stamp) + TOMBSTONE_LIFE_MS <= nowMs;
      if (!isOld && this.#tombstones.size <= this.#bounds.maxEntries) break;
      this.#floor = Math.max(this.#floor, stamp);
      this.#tombstones.delete(key);
    }
  }

  #isOver(): boolean {
    return this.#live.size > this.#bounds.maxEntries || this.#bytes > this.#bounds.maxBytes;
  }

  /** Makes tombstones of what has run out. */
  #sweep(nowMs: number): void {
    if (this.#soonestEndMs > nowMs) return;
    let soonestEndMs = Infinity;
    for (const [key, entry] of this.#live) {
      if (holds(entry, nowMs)) soonestEndMs = Math.min(soonestEndMs, entry.expiresAtMs ?? Infinity);
      else {
        this.#forget(key);
        this.#tombstones.set(key, { ...entry, ...TOMBSTONE });
      }
    }
    this.#soonestEndMs = soonestEndMs;
  }
}

function holds(entry: Entry, nowMs: number): boolean {
  return entry.expiresAtMs === undefined || entry.expiresAtMs > nowMs;
}

function parse(text: string): unknown {
  return JSON.parse(text);
}
