/** What one node's cache does for another: the table of methods, and what serves it. */
import * as z from "zod";
import type { Method, ServedMethod } from "../peer/rpc.ts";
import { serve } from "../peer/serve.ts";
import type { CacheHit, CacheStats, SharedCache } from "./cache.ts";
import type { FlightDesk, FlightTimes } from "./compute.ts";
import type { Claimed } from "./flights.ts";
import { cacheKeySchema, ttlMsSchema } from "./input.ts";

interface KeyInput {
  readonly key: string;
}

/** What {@link CacheMethods.set} takes. */
export interface CacheSetInput {
  readonly key: string;
  readonly value?: unknown;
  readonly ttlMs?: number | undefined;
}

interface TokenInput extends KeyInput {
  /** As the claim gave it. */
  readonly token: string;
}

type Nothing = Readonly<Record<string, never>>;

/** The methods of a cache, with what goes in and what comes out. */
export interface CacheMethods {
  readonly get: Method<KeyInput, { readonly entry?: CacheHit | undefined }>;
  readonly has: Method<KeyInput, { readonly hit: boolean }>;
  readonly set: Method<CacheSetInput, { readonly version: number }>;
  readonly delete: Method<KeyInput, { readonly deleted: boolean }>;
  readonly stats: Method<Nothing, CacheStats>;
  readonly claim: Method<KeyInput & FlightTimes, { readonly claimed: Claimed }>;
  readonly hold: Method<TokenInput & FlightTimes, { readonly held: boolean }>;
  readonly settle: Method<TokenInput & CacheSetInput, { readonly version?: number | undefined }>;
  readonly drop: Method<TokenInput, Nothing>;
}

/** The longest lease that may be asked for: what a silent death costs all who wait. */
const MAX_LEASE_MS = 60_000;
/** The longest wait in one call, so that a peer which went away is noticed. */
const MAX_WAIT_MS = 60_000;
/** Tokens are UUIDs. */
const MAX_TOKEN_CHARS = 64;

const keyInput = z.object({ key: cacheKeySchema });
const tokenInput = z.object({ key: cacheKeySchema, token: z.string().min(1).max(MAX_TOKEN_CHARS) });
const times = {
  leaseMs: z.number().positive().max(MAX_LEASE_MS),
  waitMs: z.number().min(0).max(MAX_WAIT_MS),
};
const nothing: z.ZodType<Nothing> = z.object({});
const setFields = { value: z.unknown(), ttlMs: ttlMsSchema.optional() };

const cacheHit: z.ZodType<CacheHit> = z.object({
  value: z.unknown(),
  version: z.int(),
  expiresAtMs: z.number().optional(),
});

const claimed: z.ZodType<Claimed> = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("hit"), entry: cacheHit }),
  z.object({ kind: z.literal("compute"), token: z.string() }),
  z.object({ kind: z.literal("waiting") }),
]);

const cacheStats: z.ZodType<CacheStats> = z.object({
  entries: z.int(),
  bytes: z.number(),
  tombstones: z.int(),
  computing: z.int(),
  waiting: z.int(),
  replicas: z.array(
    z.object({
      peer: z.string(),
      state: z.enum(["current", "behind", "away"]),
      sent: z.int(),
      received: z.int(),
      deferred: z.int(),
      refused: z.int(),
      failures: z.int(),
    }),
  ),
});

/** The table. `idempotent` says why a call may be sent again when its answer was lost. */
export const cacheMethods: CacheMethods = {
  get: {
    name: "cache.get",
    grant: "cache",
    input: keyInput,
    output: z.object({ entry: cacheHit.optional() }),
    idempotent: true,
  },
  has: {
    name: "cache.has",
    grant: "cache",
    input: keyInput,
    output: z.object({ hit: z.boolean() }),
    idempotent: true,
  },
  set: {
    name: "cache.set",
    grant: "cache",
    input: z.object({ key: cacheKeySchema, ...setFields }),
    output: z.object({ version: z.int() }),
    // Sent again it could overwrite what another writer wrote in between.
    idempotent: false,
  },
  delete: {
    name: "cache.delete",
    grant: "cache",
    input: keyInput,
    output: z.object({ deleted: z.boolean() }),
    // Sent again it could delete what another writer wrote in between.
    idempotent: false,
  },
  stats: { name: "cache.stats", grant: "cache", input: nothing, output: cacheStats, idempotent: true },
  claim: {
    name: "cache.claim",
    grant: "cache",
    input: keyInput.extend(times),
    output: z.object({ claimed }),
    // A lease whose token was lost with the answer ends with the connection or by time; the second claim waits for that.
    idempotent: true,
  },
  hold: {
    name: "cache.hold",
    grant: "cache",
    input: tokenInput.extend(times),
    output: z.object({ held: z.boolean() }),
    // The end of the connection was the end of the lease; a second call says so.
    idempotent: true,
  },
  settle: {
    name: "cache.settle",
    grant: "cache",
    input: tokenInput.extend(setFields),
    output: z.object({ version: z.int().optional() }),
    // The first ends the lease, so a second changes nothing.
    idempotent: true,
  },
  drop: { name: "cache.drop", grant: "cache", input: tokenInput, output: nothing, idempotent: true },
};

/** Serves a cache to peers. */
export function serveCacheMethods(cache: SharedCache & FlightDesk): readonly ServedMethod[] {
  const m = cacheMethods;
  return [
    serve(m.get, async ({ key }, { signal }) => ({ entry: await cache.get(key, { signal }) })),
    serve(m.has, async ({ key }, { signal }) => ({ hit: await cache.has(key, { signal }) })),
    serve(m.set, async ({ key, value, ttlMs }, { signal }) => ({
      version: await cache.set(key, value, ttlMs, { signal }),
    })),
    serve(m.delete, async ({ key }, { signal }) => ({ deleted: await cache.delete(key, { signal }) })),
    serve(m.stats, (_, { signal }) => cache.stats({ signal })),
    serve(m.claim, async ({ key, leaseMs, waitMs }, { signal }) => ({
      claimed: await cache.claim(key, { leaseMs, waitMs }, { signal }),
    })),
    serve(m.hold, async ({ key, token, leaseMs, waitMs }, { signal }) => ({
      held: await cache.hold(key, token, { leaseMs, waitMs }, { signal }),
    })),
    serve(m.settle, async ({ key, token, value, ttlMs }, { signal }) => ({
      version: await cache.settle(key, token, value, ttlMs, { signal }),
    })),
    serve(m.drop, async ({ key, token }, { signal }) => {
      await cache.drop(key, token, { signal });
      return {};
    }),
  ];
}
