/** What one transaction changes in the cache, under the lock of `cache_node`. */
import { createHash } from "node:crypto";
import * as z from "zod";
import type { CacheBounds, CacheRecord, MergeOutcome } from "../../cache/store.ts";
import { instantOf, isCredible, nextStamp, TOMBSTONE_LIFE_MS, type Version } from "../../cache/version.ts";
import { judge, type Kept, TOMBSTONE } from "../cache-rules.ts";
import { parsed } from "../rows.ts";
import { onlyRow, type Statement, type Transaction } from "./database.ts";

/** The only row of `cache_node`. */
export const NODE = "SELECT origin, clock, floor, changes, entries, bytes, tombstones FROM cache_node";
const SET_NODE =
  "UPDATE cache_node SET clock = $1, floor = $2, changes = $3, entries = $4, bytes = $5, tombstones = $6";

const REMOVE = "DELETE FROM cache_entries WHERE key_hash = ANY($1::text[])";
const PUT = `
  INSERT INTO cache_entries (change, key, key_hash, stamp, origin, live, expires_ms, bytes, value)
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::smallint[],
                       $7::double precision[], $8::bigint[], $9::text[])`;

/** How many entries one statement sweeps, evicts or forgets. */
const BATCH = 1000;

const SWEEP = `
  WITH outrun AS MATERIALIZED (
    SELECT change, bytes FROM cache_entries WHERE expires_ms <= $1 ORDER BY expires_ms LIMIT ${BATCH}
  ), swept AS (
    UPDATE cache_entries e SET live = 0, value = NULL, bytes = 0, expires_ms = NULL FROM outrun o WHERE e.change = o.change
  )
  SELECT count(*) AS n, coalesce(sum(bytes), 0)::bigint AS bytes FROM outrun`;

const EVICT = `
  WITH oldest AS MATERIALIZED (
    SELECT change, bytes, row_number() OVER age AS n, sum(bytes) OVER age - bytes AS before
      FROM (SELECT change, bytes FROM cache_entries WHERE live = 1 ORDER BY change LIMIT ${BATCH}) e
    WINDOW age AS (ORDER BY change)
  ), evicted AS MATERIALIZED (
    SELECT change, bytes FROM oldest WHERE n <= $1 OR before < $2
  ), gone AS (
    DELETE FROM cache_entries e USING evicted v WHERE e.change = v.change
  )
  SELECT count(*) AS n, coalesce(sum(bytes), 0)::bigint AS bytes FROM evicted`;

const TOMBSTONES = `SELECT change, stamp FROM cache_entries WHERE live = 0 ORDER BY change LIMIT ${BATCH}`;
const FORGET = "DELETE FROM cache_entries WHERE change = ANY($1::bigint[])";

/** Accepts the row of {@link NODE}. */
export const nodeRow: z.ZodType<NodeState> = z.object({
  origin: z.string(),
  clock: z.int(),
  floor: z.int(),
  changes: z.int(),
  entries: z.int(),
  bytes: z.int(),
  tombstones: z.int(),
});

/** What is kept of the cache as a whole. */
export interface NodeState {
  readonly origin: string;
  /** The highest stamp given or seen. */
  readonly clock: number;
  /** The highest stamp among forgotten tombstones. */
  readonly floor: number;
  /** The number of the last change. */
  readonly changes: number;
  readonly entries: number;
  readonly bytes: number;
  readonly tombstones: number;
}

/** What a key had last. */
export interface LastState extends Version {
  readonly live: number;
  readonly expires_ms: number | null;
  readonly bytes: number;
}

/** Accepts the row of a key's last state. */
export const lastRow: z.ZodType<LastState & { readonly key_hash: string }> = z.object({
  key_hash: z.string(),
  stamp: z.int(),
  origin: z.string(),
  live: z.int(),
  expires_ms: z.number().nullable(),
  bytes: z.int(),
});

const sumRow = z.object({ n: z.int(), bytes: z.int() });
const tombstoneRow = z.object({ change: z.int(), stamp: z.int() });

/** Stands for a key in the index, which takes no text of any length. */
export function hashOf(key: string): string {
  return createHash("sha256").update(key).digest("base64");
}

interface Put extends Version {
  readonly change: number;
  readonly key: string;
  readonly kept: Kept;
}

/** Changes to the cache, in the order in which they were asked for. */
export class CacheWrites {
  #node: NodeState;
  readonly #last: Map<string, LastState>;
  readonly #puts = new Map<string, Put>();

  /** @param last - of all keys that may be changed, by {@link hashOf} */
  constructor(node: NodeState, last: ReadonlyMap<string, LastState>) {
    this.#node = node;
    this.#last = new Map(last);
  }

  /** Whether anything was changed. */
  get touched(): boolean {
    return this.#puts.size > 0;
  }

  /** @returns the stamp of the new version */
  set(key: string, kept: Kept, nowMs: number): number {
    const version = this.#newVersion(key, nowMs);
    this.#put(key, version, kept);
    return version.stamp;
  }

  /** @returns whether there was an entry that still held */
  delete(key: string, nowMs: number): boolean {
    const last = this.#last.get(hashOf(key));
    this.#put(key, this.#newVersion(key, nowMs), TOMBSTONE);
    return last?.live === 1 && (last.expires_ms === null || last.expires_ms > nowMs);
  }

  /** Takes those records that are later than what is here. */
  merge(records: readonly CacheRecord[], kept: readonly Kept[], nowMs: number): MergeOutcome {
    const outcome = { taken: 0, stale: 0, refused: 0 };
    const { floor } = this.#node;
    for (const [i, record] of records.entries()) {
      const verdict = judge(record, this.#last.get(hashOf(record.key)), floor, nowMs);
      outcome[verdict] += 1;
      if (verdict === "taken") this.#put(record.key, record, kept[i] ?? TOMBSTONE);
    }
    return outcome;
  }

  /** What writes the entries. */
  puts(): readonly Statement[] {
    const rows = [...this.#puts].map(([hash, { change, key, stamp, origin, kept }]) => [
      change,
      key,
      hash,
      stamp,
      origin,
      kept.text === undefined ? 0 : 1,
      kept.expiresAtMs ?? null,
      kept.bytes,
      kept.text ?? null,
    ]);
    const columns = Array.from({ length: 9 }, (_, column) => rows.map((row) => row[column]));
    return [
      { text: REMOVE, values: [[...this.#puts.keys()]] },
      { text: PUT, values: columns },
    ];
  }

  /** What writes the state of the whole. */
  nodeUpdate(): Statement {
    const { clock, floor, changes, entries, bytes, tombstones } = this.#node;
    return { text: SET_NODE, values: [clock, floor, changes, entries, bytes, tombstones] };
  }

  /** Brings the cache within its bounds: what has run out goes first, then what came longest ago. */
  async shrink(tx: Transaction, bounds: CacheBounds, nowMs: number): Promise<void> {
    let sweeping = true;
    while (this.#node.entries > bounds.maxEntries || this.#node.bytes > bounds.maxBytes) {
      if (sweeping) {
        const swept = await sum(tx, { text: SWEEP, values: [nowMs] });
        this.#count({ entries: -swept.n, bytes: -swept.bytes, tombstones: swept.n });
        sweeping = swept.n > 0;
        continue;
      }
      const { entries, bytes } = this.#node;
      const excess = [Math.max(0, entries - bounds.maxEntries), Math.max(0, bytes - bounds.maxBytes)];
      const evicted = await sum(tx, { text: EVICT, values: excess });
      if (evicted.n === 0) break;
      this.#count({ entries: -evicted.n, bytes: -evicted.bytes, tombstones: 0 });
    }
    while (this.touched && this.#node.tombstones > 0 && (await this.#forget(tx, bounds, nowMs)));
  }

  /** @returns whether there may be more to forget */
  async #forget(tx: Transaction, bounds: CacheBounds, nowMs: number): Promise<boolean> {
    const [rows = []] = await tx.run({ text: TOMBSTONES });
    const oldest = rows.map((row) => parsed(tombstoneRow, row));
    let left = this.#node.tombstones;
    const gone: z.infer<typeof tombstoneRow>[] = [];
    for (const tombstone of oldest) {
      const isOld = instantOf(tombstone.stamp) + TOMBSTONE_LIFE_MS <= nowMs;
      if (!isOld && left <= bounds.maxEntries) break;
      gone.push(tombstone);
      left -= 1;
    }
    if (gone.length === 0) return false;
    await tx.run({ text: FORGET, values: [gone.map(({ change }) => change)] });
    const floor = Math.max(this.#node.floor, ...gone.map(({ stamp }) => stamp));
    this.#node = { ...this.#node, floor, tombstones: left };
    return gone.length === BATCH;
  }

  #newVersion(key: string, nowMs: number): Version {
    const { clock, origin } = this.#node;
    // A clock that was left behind as wrong must not stay the highest.
    if (!isCredible(clock, nowMs)) this.#node = { ...this.#node, clock: 0 };
    return { stamp: nextStamp(nowMs, clock, this.#last.get(hashOf(key))?.stamp ?? 0), origin };
  }

  #put(key: string, { stamp, origin }: Version, kept: Kept): void {
    const hash = hashOf(key);
    const last = this.#last.get(hash);
    const live = kept.text === undefined ? 0 : 1;
    if (last) this.#count({ entries: -last.live, bytes: -last.bytes, tombstones: last.live - 1 });
    this.#count({ entries: live, bytes: kept.bytes, tombstones: 1 - live });
    const { changes, clock } = this.#node;
    this.#node = { ...this.#node, changes: changes + 1, clock: Math.max(clock, stamp) };
    this.#puts.set(hash, { change: changes + 1, key, stamp, origin, kept });
    this.#last.set(hash, { stamp, origin, live, expires_ms: kept.expiresAtMs ?? null, bytes: kept.bytes });
  }

  #count(change: { readonly entries: number; readonly bytes: number; readonly tombstones: number }): void {
    const { entries, bytes, tombstones } = this.#node;
    this.#node = {
      ...this.#node,
      entries: entries + change.entries,
      bytes: bytes + change.bytes,
      tombstones: tombstones + change.tombstones,
    };
  }
}

async function sum(tx: Transaction, statement: Statement): Promise<z.infer<typeof sumRow>> {
  const [rows] = await tx.run(statement);
  return parsed(sumRow, onlyRow(rows));
}
