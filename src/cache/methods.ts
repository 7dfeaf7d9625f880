/** What one node's cache does for another: the table of methods, and what serves it. */
import * as z from "zod";
import type { Method, ServedMethod } from "../peer/rpc.ts";
import { serve } from "../peer/serve.ts";
import type { CacheHit, SharedCache } from "./cache.ts";
import { cacheKeySchema, ttlMsSchema } from "./local.ts";

interface KeyInput {
  readonly key: string;
}

/** What {@link CacheMethods.set} takes. */
export interface CacheSetInput {
  readonly key: string;
  readonly value?: unknown;
  readonly ttlMs?: number | undefined;
}

/** The methods of a cache, with what goes in and what comes out. */
export interface CacheMethods {
  readonly get: Method<KeyInput, { readonly entry?: CacheHit | undefined }>;
  readonly has: Method<KeyInput, { readonly hit: boolean }>;
  readonly set: Method<CacheSetInput, { readonly version: number }>;
  readonly delete: Method<KeyInput, { readonly deleted: boolean }>;
}

const keyInput: z.ZodType<KeyInput> = z.object({ key: cacheKeySchema });

const cacheHit: z.ZodType<CacheHit> = z.object({
  value: z.unknown(),
  version: z.int(),
  expiresAtMs: z.number().optional(),
});

/** The table. */
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
    input: z.object({ key: cacheKeySchema, value: z.unknown(), ttlMs: ttlMsSchema.optional() }),
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
};

/** Serves a cache to peers. */
export function serveCacheMethods(cache: SharedCache): readonly ServedMethod[] {
  const m = cacheMethods;
  return [
    serve(m.get, async ({ key }, { signal }) => ({ entry: await cache.get(key, { signal }) })),
    serve(m.has, async ({ key }, { signal }) => ({ hit: await cache.has(key, { signal }) })),
    serve(m.set, async ({ key, value, ttlMs }, { signal }) => ({
      version: await cache.set(key, value, ttlMs, { signal }),
    })),
    serve(m.delete, async ({ key }, { signal }) => ({ deleted: await cache.delete(key, { signal }) })),
  ];
}
