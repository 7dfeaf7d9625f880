/**
 * A {@link CacheStore} in PostgreSQL.
 *
 * All nodes on one database share one cache, which is one store to those elsewhere: one origin, one clock, one log of
 * changes. Whoever writes locks the row of `cache_node` first, because the numbers of changes must be seen in order:
 * with a sequence a reader could see number 6 before 5 and never come back for it. Writes that come at the same time
 * share that lock and one commit.
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
import { cacheText, entryBytes, judge, keptOf } from "../cache-rules.ts";
import { jsonOf, parsed } from "../rows.ts";
import type { Lifetime } from "../stores.ts";
import { Batches, type Pending } from "./batches.ts";
import { CacheWrites, hashOf, type LastState, lastRow, NODE, nodeRow } from "./cache-writes.ts";
import { type Database, onlyRow } from "./database.ts";

const GET = `
  SELECT value, stamp, expires_ms FROM cache_entries
   WHERE key_hash = $1 AND live = 1 AND (expires_ms IS NULL OR expires_ms > $2)`;
const LAST =
  "SELECT key_hash, stamp, origin, live, expires_ms, bytes FROM cache_entries WHERE key_hash = ANY($1::text[])";
const STATS = `
  SELECT entries, bytes, tombstones,
         (SELECT count(*) FROM cache_entries WHERE expires_ms <= $1) AS outrun,
         (SELECT coalesce(sum(bytes), 0)::bigint FROM cache_entries WHERE expires_ms <= $1) AS outrun_bytes
    FROM cache_node`;
const CHANGES = `
  SELECT e.change, e.key, e.stamp, e.origin, n.changes
    FROM cache_node n LEFT JOIN LATERAL (
      SELECT change, key, stamp, origin FROM cache_entries WHERE change > $1 ORDER BY change LIMIT $2) e ON true
   ORDER BY e.change`;
const RECORDS = `
  SELECT e.key, e.stamp, e.origin, e.expires_ms,
         CASE WHEN e.live = 1 AND (e.expires_ms IS NULL OR e.expires_ms > $2) THEN e.value END AS value
    FROM unnest($1::text[]) WITH ORDINALITY AS k (key_hash, n) JOIN cache_entries e ON e.key_hash = k.key_hash
   ORDER BY k.n`;

const hitRow = z.object({ value: z.string(), stamp: z.int(), expires_ms: z.number().nullable() });
const statsRow = z.object({
  entries: z.int(),
  bytes: z.int(),
  tombstones: z.int(),
  outrun: z.int(),
  outrun_bytes: z.int(),
});
const markRow = z.object({ change: z.int(), key: z.string(), stamp: z.int(), origin: z.string() });
const recordRow = z.object({
  key: z.string(),
  stamp: z.int(),
  origin: z.string(),
  expires_ms: z.number().nullable(),
  value: z.string().nullable(),
});

/** A write that somebody waits for. */
interface WriteCall extends Pending {
  /** Of all the keys that it may change. */
  readonly hashes: readonly string[];
  readonly nowMs: number;
  /** @returns tells the caller, once it is safe */
  readonly perform: (writes: CacheWrites) => () => void;
}

/** What the store works with. */
export interface PostgresCacheParts {
  readonly database: Database;
  readonly lifetime: Lifetime;
  readonly bounds: CacheBounds;
  readonly origin: string;
}

/** The cache that all nodes on a database share. */
export class PostgresCacheStore implements CacheStore {
  readonly origin: string;
  readonly #database: Database;
  readonly #lifetime: Lifetime;
  readonly #bounds: CacheBounds;
  readonly #writes: Batches<WriteCall>;

  constructor({ database, lifetime, bounds, origin }: PostgresCacheParts) {
    this.origin = origin;
    this.#database = database;
    this.#lifetime = lifetime;
    this.#bounds = bounds;
    this.#writes = new Batches((calls) => this.#perform(calls));
  }

  /** Until all that was asked has been answered. */
  async idle(): Promise<void> {
    await this.#writes.idle();
  }

  async get(key: string, nowMs: number): Promise<CacheHit | undefined> {
    this.#lifetime.check();
    const [row] = await this.#database.query(GET, [hashOf(key), nowMs]);
    if (!row) return undefined;
    const { value, stamp, expires_ms } = parsed(hitRow, row);
    const hit = { value: jsonOf(value), version: stamp };
    return expires_ms === null ? hit : { ...hit, expiresAtMs: expires_ms };
  }

  async set(key: string, value: unknown, expiresAtMs: number | undefined, nowMs: number): Promise<number> {
    this.#lifetime.check();
    const text = cacheText(value);
    const bytes = entryBytes(key, text, this.#bounds);
    return this.#write([key], nowMs, (writes) => writes.set(key, { text, bytes, expiresAtMs }, nowMs));
  }

  async delete(key: string, nowMs: number): Promise<boolean> {
    this.#lifetime.check();
    return this.#write([key], nowMs, (writes) => writes.delete(key, nowMs));
  }

  async stats(nowMs: number): Promise<CacheFill> {
    this.#lifetime.check();
    const row = parsed(statsRow, onlyRow(await this.#database.query(STATS, [nowMs])));
    return {
      entries: row.entries - row.outrun,
      bytes: row.bytes - row.outrun_bytes,
      tombstones: row.tombstones,
    };
  }

  async changes(since: number, limit: number): Promise<ChangePage> {
    this.#lifetime.check();
    const all = await this.#database.query(CHANGES, [since, limit]);
    const rows = all.filter((row) => row["change"] !== null).map((row) => parsed(markRow, row));
    const next = rows.at(-1)?.change ?? since;
    return {
      marks: rows.map(({ key, stamp, origin }) => ({ key, stamp, origin })),
      next,
      more: next < Number(onlyRow(all)["changes"]) && rows.length === limit,
    };
  }

  async records(keys: readonly string[], nowMs: number): Promise<readonly CacheRecord[]> {
    this.#lifetime.check();
    const rows = await this.#database.query(RECORDS, [keys.map(hashOf), nowMs]);
    return rows.map((row) => {
      const { key, stamp, origin, value, expires_ms } = parsed(recordRow, row);
      if (value === null) return { key, stamp, origin };
      return { key, stamp, origin, entry: { value: jsonOf(value), expiresAtMs: expires_ms ?? undefined } };
    });
  }

  async wanted(marks: readonly CacheMark[], nowMs: number): Promise<readonly string[]> {
    this.#lifetime.check();
    const { floor } = parsed(nodeRow, onlyRow(await this.#database.query(NODE)));
    const last = lastStates(await this.#database.query(LAST, [marks.map(({ key }) => hashOf(key))]));
    return marks.flatMap((mark) =>
      judge(mark, last.get(hashOf(mark.key)), floor, nowMs) === "taken" ? [mark.key] : [],
    );
  }

  async merge(records: readonly CacheRecord[], nowMs: number): Promise<MergeOutcome> {
    this.#lifetime.check();
    const kept = records.map((record) => keptOf(record, this.#bounds, nowMs));
    const keys = records.map(({ key }) => key);
    return this.#write(keys, nowMs, (writes) => writes.merge(records, kept, nowMs));
  }

  #write<T>(keys: readonly string[], nowMs: number, change: (writes: CacheWrites) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const perform = (writes: CacheWrites): (() => void) => {
        const value = change(writes);
        return () => resolve(value);
      };
      this.#writes.add({ hashes: keys.map(hashOf), nowMs, perform, reject });
    });
  }

  async #perform(calls: readonly WriteCall[]): Promise<readonly (() => void)[]> {
    return this.#database.transact(async (tx) => {
      const hashes = [...new Set(calls.flatMap((call) => call.hashes))];
      const [node, last = []] = await tx.run(
        { text: `${NODE} FOR UPDATE` },
        { text: LAST, values: [hashes] },
      );
      const writes = new CacheWrites(parsed(nodeRow, onlyRow(node)), lastStates(last));
      const value = calls.map((call) => call.perform(writes));
      const nowMs = Math.max(...calls.map((call) => call.nowMs));
      if (writes.touched) await tx.run(...writes.puts());
      await writes.shrink(tx, this.#bounds, nowMs);
      return { writes: writes.touched ? [writes.nodeUpdate()] : [], value };
    });
  }
}

function lastStates(rows: readonly object[]): Map<string, LastState> {
  return new Map(
    rows.map((row) => {
      const { key_hash, ...last } = parsed(lastRow, row);
      return [key_hash, last];
    }),
  );
}
