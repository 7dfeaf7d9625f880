/**
 * How two caches exchange what they hold: each side can read the other's log of changes, ask for records, ask which
 * of its own are wanted, and hand records over. Whoever asks keeps the place in both logs; who answers keeps nothing.
 *
 * Times to live travel as what is left of them, because the clocks of two nodes differ.
 */
import * as z from "zod";
import type { Clock } from "../clock.ts";
import { jsonBytes } from "../content/json.ts";
import type { Method, ServedMethod } from "../peer/rpc.ts";
import { serve } from "../peer/serve.ts";
import { cacheKeySchema, ttlMsSchema } from "./input.ts";
import type { CacheMark, CacheRecord, CacheStore, ChangePage, MergeOutcome } from "./store.ts";

/** How many marks travel in one message; with the longest keys it stays far below a frame. */
export const MAX_MARKS = 256;

/** Records are handed over in messages of about this many bytes, a larger one alone, so that calls get between them. */
export const BATCH_BYTES: number = 512 * 1024;

/** A record on the wire. */
export interface WireRecord extends CacheMark {
  /** Absent for what was deleted or has run out. */
  readonly entry?: { readonly value?: unknown; readonly leftMs?: number | undefined } | undefined;
}

/** Names the store that answers, so that one which began anew is noticed. */
interface Answer {
  readonly origin: string;
}

/** The methods of replication, with what goes in and what comes out. */
export interface ReplicaMethods {
  /** Reads the log of changes. */
  readonly changes: Method<{ readonly since: number; readonly limit: number }, ChangePage & Answer>;
  /** Reads records, the first of the keys as far as they fit into a message. */
  readonly records: Method<
    { readonly keys: readonly string[] },
    { readonly records: readonly WireRecord[]; readonly handled: number }
  >;
  /** Asks which of these the other side wants. */
  readonly offer: Method<
    { readonly marks: readonly CacheMark[] },
    { readonly wanted: readonly string[] } & Answer
  >;
  /** Hands records over. */
  readonly merge: Method<{ readonly records: readonly WireRecord[] }, MergeOutcome & Answer>;
}

const MAX_ORIGIN_CHARS = 64;
const origin = z.string().min(1).max(MAX_ORIGIN_CHARS);
const mark = { key: cacheKeySchema, stamp: z.int().min(0), origin };
const marks: z.ZodType<readonly CacheMark[]> = z.array(z.object(mark)).max(MAX_MARKS);
const count = z.int().min(0);

const wireRecord: z.ZodType<WireRecord> = z.object({
  ...mark,
  entry: z
    .object({ value: z.unknown(), leftMs: ttlMsSchema.optional() })
    .refine(({ value }) => value !== undefined, "value is missing")
    .optional(),
});
const records = z.array(wireRecord).max(MAX_MARKS);

/** The table. All of it can be done twice: what a store has taken is stale the second time. */
export const replicaMethods: ReplicaMethods = {
  changes: {
    name: "cache.changes",
    grant: "cache",
    input: z.object({ since: count, limit: z.int().min(1).max(MAX_MARKS) }),
    output: z.object({ origin, marks, next: count, more: z.boolean() }),
    idempotent: true,
  },
  records: {
    name: "cache.records",
    grant: "cache",
    input: z.object({ keys: z.array(cacheKeySchema).max(MAX_MARKS) }),
    output: z.object({ records, handled: count }),
    idempotent: true,
  },
  offer: {
    name: "cache.offer",
    grant: "cache",
    input: z.object({ marks }),
    output: z.object({ origin, wanted: z.array(z.string()).max(MAX_MARKS) }),
    idempotent: true,
  },
  merge: {
    name: "cache.merge",
    grant: "cache",
    input: z.object({ records }),
    output: z.object({ origin, taken: count, stale: count, refused: count }),
    idempotent: true,
  },
};

/** Records that fit into one message. */
export interface Batch {
  readonly records: readonly WireRecord[];
  /** How many of the keys were looked at. */
  readonly handled: number;
  /** How many were left out because they are larger than `maxBytes`. */
  readonly skipped: number;
}

/**
 * Reads the records of the first keys that fit into a message.
 *
 * @param maxBytes - leaves out records with more bytes of JSON than this; absent means none
 */
export async function readBatch(
  store: CacheStore,
  keys: readonly string[],
  nowMs: number,
  maxBytes: number = Infinity,
): Promise<Batch> {
  const batch: WireRecord[] = [];
  let bytes = 0;
  let handled = 0;
  let skipped = 0;
  for (const key of keys) {
    // One at a time: a page of the largest values would fill the memory.
    const [record] = await store.records([key], nowMs);
    const wire = record && wireOf(record, nowMs);
    const size = wire ? jsonBytes(wire) : 0;
    if (batch.length > 0 && size <= maxBytes && bytes + size > BATCH_BYTES) break;
    handled += 1;
    if (!wire) continue;
    if (size > maxBytes) {
      skipped += 1;
      continue;
    }
    batch.push(wire);
    bytes += size;
  }
  return { records: batch, handled, skipped };
}

/** A record as a store takes it. */
export function recordOf({ key, stamp, origin: from, entry }: WireRecord, nowMs: number): CacheRecord {
  if (!entry) return { key, stamp, origin: from };
  const expiresAtMs = entry.leftMs === undefined ? undefined : Math.ceil(nowMs + entry.leftMs);
  return { key, stamp, origin: from, entry: { value: entry.value, expiresAtMs } };
}

/** Serves the replication methods over the store of a cache. */
export function serveReplicaMethods({
  store,
  clock,
}: {
  readonly store: CacheStore;
  readonly clock: Clock;
}): readonly ServedMethod[] {
  const m = replicaMethods;
  return [
    serve(m.changes, async ({ since, limit }) => ({
      origin: store.origin,
      ...(await store.changes(since, limit)),
    })),
    serve(m.records, async ({ keys }) => {
      const batch = await readBatch(store, keys, clock.epochMs());
      return { records: batch.records, handled: batch.handled };
    }),
    serve(m.offer, async (input) => ({
      origin: store.origin,
      wanted: await store.wanted(input.marks, clock.epochMs()),
    })),
    serve(m.merge, async (input) => {
      const nowMs = clock.epochMs();
      const taken = input.records.map((record) => recordOf(record, nowMs));
      return { origin: store.origin, ...(await store.merge(taken, nowMs)) };
    }),
  ];
}

function wireOf({ key, stamp, origin: from, entry }: CacheRecord, nowMs: number): WireRecord {
  if (!entry) return { key, stamp, origin: from };
  const { value, expiresAtMs } = entry;
  return {
    key,
    stamp,
    origin: from,
    entry: expiresAtMs === undefined ? { value } : { value, leftMs: expiresAtMs - nowMs },
  };
}
