/**
 * A {@link CacheStore} in SQLite.
 *
 * The number of a row is the number of its last change, so a changed entry gets a new row. A deleted or outrun entry
 * leaves a tombstone, which keeps its version. Tombstones have the same bound as entries, and a bounded life.
 */
import * as z from "zod";
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
import type { Connection } from "./connection.ts";
import type { GroupCommit } from "./group-commit.ts";
import { jsonOf, parsed } from "../rows.ts";

const GET = `
  SELECT value, stamp, expires_ms FROM cache_entries
   WHERE key = ?1 AND live = 1 AND (expires_ms IS NULL OR expires_ms > ?2)`;

const LAST = "SELECT stamp, origin, live, expires_ms FROM cache_entries WHERE key = :key";
const REMOVE = "DELETE FROM cache_entries WHERE key = :key";
const PUT = `
  INSERT INTO cache_entries (change, key, stamp, origin, live, expires_ms, bytes, value)
  VALUES (:change, :key, :stamp, :origin, :live, :expiresAtMs, :bytes, :value)`;

const NODE = "SELECT origin, clock, floor, changes FROM cache_node";
const NEXT_CHANGE =
  "UPDATE cache_node SET changes = changes + 1, clock = max(clock, :stamp) RETURNING changes";
const LEAVE_CLOCK = "UPDATE cache_node SET clock = 0";
const RAISE_FLOOR = "UPDATE cache_node SET floor = :stamp WHERE floor < :stamp";

/** How many outrun entries one write makes into tombstones at a time. */
const SWEEP_BATCH = 1000;

const SWEEP = `
  UPDATE cache_entries SET live = 0, value = NULL, bytes = 0, expires_ms = NULL
   WHERE change IN (SELECT change FROM cache_entries WHERE expires_ms <= :nowMs ORDER BY expires_ms LIMIT :limit)`;

const OLDEST = "SELECT key, stamp FROM cache_entries WHERE live = :live ORDER BY change LIMIT 1";
const SUM = "SELECT entries, bytes FROM cache_sums WHERE live = :live";
const OUTRUN =
  "SELECT count(*) AS entries, total(bytes) AS bytes FROM cache_entries WHERE expires_ms <= :nowMs";

const CHANGES = `
  SELECT change, key, stamp, origin FROM cache_entries WHERE change > :since ORDER BY change LIMIT :limit`;

const RECORD = `
  SELECT key, stamp, origin, expires_ms,
         iif(live = 1 AND (expires_ms IS NULL OR expires_ms > :nowMs), value, NULL) AS value
    FROM cache_entries WHERE key = :key`;

const hitRow = z.object({ value: z.string(), stamp: z.int(), expires_ms: z.number().nullable() });
const lastRow = z.object({
  stamp: z.int(),
  origin: z.string(),
  live: z.int(),
  expires_ms: z.number().nullable(),
});
const nodeRow = z.object({ origin: z.string(), clock: z.int(), floor: z.int(), changes: z.int() });
const changesRow = z.object({ changes: z.int() });
const sumRow = z.object({ entries: z.int(), bytes: z.number() });
const oldestRow = z.object({ key: z.string(), stamp: z.int() });
const markRow = z.object({ change: z.int(), key: z.string(), stamp: z.int(), origin: z.string() });
const recordRow = z.object({
  key: z.string(),
  stamp: z.int(),
  origin: z.string(),
  expires_ms: z.number().nullable(),
  value: z.string().nullable(),
});

/** The cache of a node, which outlives it. */
export class SqliteCacheStore implements CacheStore {
  readonly origin: string;
  readonly #connection: Connection;
  readonly #commits: GroupCommit;
  readonly #lifetime: Lifetime;
  readonly #bounds: CacheBounds;

  constructor(connection: Connection, commits: GroupCommit, lifetime: Lifetime, bounds: CacheBounds) {
    this.#connection = connection;
    this.#commits = commits;
    this.#lifetime = lifetime;
    this.#bounds = bounds;
    this.origin = this.#node().origin;
  }

  async get(key: string, nowMs: number): Promise<CacheHit | undefined> {
    this.#lifetime.check();
    const row = this.#connection.get(GET, [key, nowMs]);
    if (!row) return undefined;
    const { value, stamp, expires_ms } = parsed(hitRow, row);
    const hit = { value: jsonOf(value), version: stamp };
    return expires_ms === null ? hit : { ...hit, expiresAtMs: expires_ms };
  }

  async set(key: string, value: unknown, expiresAtMs: number | undefined, nowMs: number): Promise<number> {
    this.#lifetime.check();
    const text = cacheText(value);
    const bytes = entryBytes(key, text, this.#bounds);
    return this.#commits.write(() => {
      const version = this.#newVersion(this.#last(key)?.stamp ?? 0, nowMs);
      this.#put(key, version, { text, bytes, expiresAtMs });
      this.#shrink(nowMs);
      return version.stamp;
    });
  }

  async delete(key: string, nowMs: number): Promise<boolean> {
    this.#lifetime.check();
    return this.#commits.write(() => {
      const last = this.#last(key);
      this.#put(key, this.#newVersion(last?.stamp ?? 0, nowMs), TOMBSTONE);
      this.#shrink(nowMs);
      return last?.live === 1 && (last.expires_ms === null || last.expires_ms > nowMs);
    });
  }

  async stats(nowMs: number): Promise<CacheFill> {
    this.#lifetime.check();
    const all = this.#sum(1);
    const outrun = parsed(sumRow, this.#connection.get(OUTRUN, { nowMs }));
    return {
      entries: all.entries - outrun.entries,
      bytes: all.bytes - outrun.bytes,
      tombstones: this.#sum(0).entries,
    };
  }

  async changes(since: number, limit: number): Promise<ChangePage> {
    this.#lifetime.check();
    const rows = this.#connection.all(CHANGES, { since, limit }).map((row) => parsed(markRow, row));
    const next = rows.at(-1)?.change ?? since;
    return {
      marks: rows.map(({ key, stamp, origin }) => ({ key, stamp, origin })),
      next,
      more: next < this.#node().changes && rows.length === limit,
    };
  }

  async records(keys: readonly string[], nowMs: number): Promise<readonly CacheRecord[]> {
    this.#lifetime.check();
    return keys.flatMap((key) => {
      const row = this.#connection.get(RECORD, { key, nowMs });
      if (!row) return [];
      const { stamp, origin, value, expires_ms } = parsed(recordRow, row);
      if (value === null) return [{ key, stamp, origin }];
      return [{ key, stamp, origin, entry: { value: jsonOf(value), expiresAtMs: expires_ms ?? undefined } }];
    });
  }

  async wanted(marks: readonly CacheMark[], nowMs: number): Promise<readonly string[]> {
    this.#lifetime.check();
    const { floor } = this.#node();
    return marks.flatMap((mark) => (this.#judge(mark, floor, nowMs) === "taken" ? [mark.key] : []));
  }

  async merge(records: readonly CacheRecord[], nowMs: number): Promise<MergeOutcome> {
    this.#lifetime.check();
    const kept = records.map((record) => keptOf(record, this.#bounds, nowMs));
    return this.#commits.write(() => {
      const outcome = { taken: 0, stale: 0, refused: 0 };
      const { floor } = this.#node();
      for (const [i, record] of records.entries()) {
        const verdict = this.#judge(record, floor, nowMs);
        outcome[verdict] += 1;
        if (verdict === "taken") this.#put(record.key, record, kept[i] ?? TOMBSTONE);
      }
      this.#shrink(nowMs);
      return outcome;
    });
  }

  #judge(mark: CacheMark, floor: number, nowMs: number): ReturnType<typeof judge> {
    return judge(mark, this.#last(mark.key), floor, nowMs);
  }

  #newVersion(last: number, nowMs: number): Version {
    const { clock } = this.#node();
    // A clock that was left behind as wrong must not stay the highest.
    if (!isCredible(clock, nowMs)) this.#connection.run(LEAVE_CLOCK);
    return { stamp: nextStamp(nowMs, clock, last), origin: this.origin };
  }

  #put(key: string, { stamp, origin }: Version, { text, bytes, expiresAtMs }: Kept): void {
    const { changes: change } = parsed(changesRow, this.#connection.get(NEXT_CHANGE, { stamp }));
    this.#connection.run(REMOVE, { key });
    this.#connection.run(PUT, {
      change,
      key,
      stamp,
      origin,
      live: text === undefined ? 0 : 1,
      expiresAtMs: expiresAtMs ?? null,
      bytes,
      value: text ?? null,
    });
  }

  /** Brings the cache within its bounds: what has run out goes first, then what came longest ago. */
  #shrink(nowMs: number): void {
    while (this.#isOver()) {
      if (this.#connection.run(SWEEP, { nowMs, limit: SWEEP_BATCH }) > 0) continue;
      this.#forget(this.#oldest(1));
    }
    for (let tombstone = this.#oldest(0); tombstone; tombstone = this.#oldest(0)) {
      const isOld = instantOf(tombstone.stamp) + TOMBSTONE_LIFE_MS <= nowMs;
      if (!isOld && this.#sum(0).entries <= this.#bounds.maxEntries) return;
      this.#connection.run(RAISE_FLOOR, { stamp: tombstone.stamp });
      this.#forget(tombstone);
    }
  }

  #isOver(): boolean {
    const { entries, bytes } = this.#sum(1);
    return entries > this.#bounds.maxEntries || bytes > this.#bounds.maxBytes;
  }

  #oldest(live: 0 | 1): z.infer<typeof oldestRow> | undefined {
    const row = this.#connection.get(OLDEST, { live });
    return row && parsed(oldestRow, row);
  }

  #forget(entry: { readonly key: string } | undefined): void {
    if (entry) this.#connection.run(REMOVE, { key: entry.key });
  }

  #last(key: string): z.infer<typeof lastRow> | undefined {
    const row = this.#connection.get(LAST, { key });
    return row && parsed(lastRow, row);
  }

  #node(): z.infer<typeof nodeRow> {
    return parsed(nodeRow, this.#connection.get(NODE));
  }

  #sum(live: 0 | 1): z.infer<typeof sumRow> {
    return parsed(sumRow, this.#connection.get(SUM, { live }));
  }
}
