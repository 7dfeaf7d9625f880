/** Old operations on the shared cache. */
import type { SharedCache } from "../../../cache/cache.ts";
import { MAX_TTL_MS } from "../../../cache/input.ts";
import type { JsonObject } from "../../../content/json.ts";
import { textOf } from "./fields.ts";
import { type Operation, refused } from "./operation.ts";

/** An operation on one key. */
function onKey(
  names: readonly string[],
  run: (cache: SharedCache, key: string, request: JsonObject, signal: AbortSignal) => Promise<JsonObject>,
): Operation {
  return {
    names,
    grant: () => "cache",
    async run(request, { node, signal }) {
      if (!node.cache) return refused("cache_disabled");
      const key = textOf(request["key"]);
      if (key === "") return refused("missing_key");
      return { key, ...(await run(node.cache, key, request, signal)) };
    },
  };
}

/** The operations of this file. */
export const cacheOperations: readonly Operation[] = [
  onKey(["cache.get", "cache_get", "cache"], async (cache, key, _, signal) => {
    const hit = await cache.get(key, { signal });
    return { hit: hit !== undefined, value: hit?.value ?? null };
  }),
  onKey(["cache.has", "cache_has"], async (cache, key, _, signal) => ({
    hit: await cache.has(key, { signal }),
  })),
  onKey(["cache.set", "cache_set"], async (cache, key, request, signal) => {
    await cache.set(key, request["value"] ?? null, ttlMsIn(request["ttl_s"]), { signal });
    return {};
  }),
  onKey(["cache.delete", "cache_del", "cache_delete"], async (cache, key, _, signal) => ({
    deleted: await cache.delete(key, { signal }),
  })),
];

/** Milliseconds, or undefined for never: also for what is no positive number, as in the old system. */
function ttlMsIn(value: unknown): number | undefined {
  const ttlMs = typeof value === "number" || typeof value === "string" ? Number(value) * 1000 : Number.NaN;
  return ttlMs > 0 && ttlMs <= MAX_TTL_MS ? ttlMs : undefined;
}
