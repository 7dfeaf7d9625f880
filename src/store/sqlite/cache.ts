/**
 * A {@link CacheStore} in SQLite.
 *
 * A deleted or outrun entry leaves a tombstone, which keeps its version. Tombstones have the same bound as entries;
 * when one is forgotten, the floor rises to its version, so that no key ever falls back.
 */
import * as z from "zod";
import type { CacheHit } from "../../cache/cache.ts";
import type { CacheBounds, CacheStore } from "../../cache/store.ts";
import { cacheText, entryBytes } from "../cache-rules.ts";
import type { Lifetime } from "../stores.ts";
import type { Connection } from "./connection.ts";
import type { GroupCommit } from "./group-commit.ts";
import { jsonOf, parsed } from "./rows.ts";

const GET = `
  SELECT value, version, expires_ms FROM cache
   WHERE key = :key AND live = 1 AND (expires_ms IS NULL OR expires_ms > :nowMs)`;

const LAST_VERSION = "SELECT version, live, expires_ms FROM cache WHERE key = :key";
const FLOOR = "SELECT version FROM cache_floor";
const RAISE_FLOOR = "UPDATE cache_floor SET version = :version WHERE version < :version";

const REMOVE = "DELETE FROM cache WHERE key = :key";

// The number of the row is the order of the writes, so a written entry gets a new row.
const PUT = `
  INSERT INTO cache (key, version, live, expires_ms, bytes, value)
  VALUES (:key, :version, :live, :expiresAtMs, :bytes, :value)`;

/** How many outrun entries one write makes into tombstones at a time. */
const SWEEP_BATCH = 1000;

const SWEEP = `
  UPDATE cache SET live = 0, value = NULL, bytes = 0, expires_ms = NULL
   WHERE written IN (SELECT written FROM cache WHERE expires_ms <= :nowMs ORDER BY expires_ms LIMIT :limit)`;

const OLDEST = "SELECT key, version FROM cache WHERE live = :live ORDER BY written LIMIT 1";

const SUM = "SELECT entries, bytes FROM cache_sums WHERE live = :live";

const OUTRUN = "SELECT count(*) AS entries, total(bytes) AS bytes FROM cache WHERE expires_ms <= :nowMs";

const hitRow = z.object({ value: z.string(), version: z.int(), expires_ms: z.number().nullable() });
const lastRow = z.object({ version: z.int(), live: z.int(), expires_ms: z.number().nullable() });
const versionRow = z.object({ version: z.int() });
const sumRow = z.object({ entries: z.int(), bytes: z.number() });
const oldestRow = z.object({ key: z.string(), version: z.int() });

/** The cache of a node, which outlives it. */
export class SqliteCacheStore implements CacheStore {
  readonly #connection: Connection;
  readonly #commits: GroupCommit;
  readonly #lifetime: Lifetime;
  readonly #bounds: CacheBounds;

  constructor(connection: Connection, commits: GroupCommit, lifetime: Lifetime, bounds: CacheBounds) {
    this.#connection = connection;
    this.#commits = commits;
    this.#lifetime = lifetime;
    this.#bounds = bounds;
  }

  async get(key: string, nowMs: number): Promise<CacheHit | undefined> {
    this.#lifetime.check();
    const row = this.#connection.get(GET, { key, nowMs });
    if (!row) return undefined;
    const { value, version, expires_ms } = parsed(hitRow, row);
    const hit = { value: jsonOf(value), version };
    return expires_ms === null ? hit : { ...hit, expiresAtMs: expires_ms };
  }

  async set(key: string, value: unknown, expiresAtMs: number | undefined, nowMs: number): Promise<number> {
    this.#lifetime.check();
    const text = cacheText(value);
    const bytes = entryBytes(key, text, this.#bounds);
    return this.#commits.write(() => {
      const version = (this.#last(key)?.version ?? this.#floor()) + 1;
      this.#connection.run(REMOVE, { key });
      this.#connection.run(PUT, {
        key,
        version,
        live: 1,
        expiresAtMs: expiresAtMs ?? null,
        bytes,
        value: text,
      });
      this.#shrink(nowMs);
      return version;
    });
  }

  async delete(key: string, nowMs: number): Promise<boolean> {
    this.#lifetime.check();
    return this.#commits.write(() => {
      const last = this.#last(key);
      if (last?.live !== 1) return false;
      this.#connection.run(REMOVE, { key });
      const tombstone = { key, version: last.version + 1, live: 0, expiresAtMs: null, bytes: 0, value: null };
      this.#connection.run(PUT, tombstone);
      this.#boundTombstones();
      return last.expires_ms === null || last.expires_ms > nowMs;
    });
  }

  async stats(nowMs: number): Promise<{ readonly entries: number; readonly bytes: number }> {
    this.#lifetime.check();
    const all = this.#sum(1);
    const outrun = parsed(sumRow, this.#connection.get(OUTRUN, { nowMs }));
    return { entries: all.entries - outrun.entries, bytes: all.bytes - outrun.bytes };
  }

  /** Brings the cache within its bounds: what has run out goes first, then what was written longest ago. */
  #shrink(nowMs: number): void {
    while (this.#isOver()) {
      if (this.#connection.run(SWEEP, { nowMs, limit: SWEEP_BATCH }) > 0) continue;
      this.#evictOldest(1);
    }
    this.#boundTombstones();
  }

  #boundTombstones(): void {
    while (this.#sum(0).entries > this.#bounds.maxEntries) this.#evictOldest(0);
  }

  #isOver(): boolean {
    const { entries, bytes } = this.#sum(1);
    return entries > this.#bounds.maxEntries || bytes > this.#bounds.maxBytes;
  }

  #evictOldest(live: 0 | 1): void {
    const { key, version } = parsed(oldestRow, this.#connection.get(OLDEST, { live }));
    this.#connection.run(RAISE_FLOOR, { version });
    this.#connection.run(REMOVE, { key });
  }

  #last(key: string): z.infer<typeof lastRow> | undefined {
    const row = this.#connection.get(LAST_VERSION, { key });
    return row && parsed(lastRow, row);
  }

  #floor(): number {
    return parsed(versionRow, this.#connection.get(FLOOR)).version;
  }

  #sum(live: 0 | 1): z.infer<typeof sumRow> {
    return parsed(sumRow, this.#connection.get(SUM, { live }));
  }
}
