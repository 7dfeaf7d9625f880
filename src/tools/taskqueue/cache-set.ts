import * as z from "zod";
import { MAX_KEY_CHARS } from "../../cache/cache.ts";
import { sets } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { deadlineOf, targetFields, targetOf, timeoutField } from "./target.ts";

/** Writes an entry of the shared cache. */
export const cacheSet: Tool = defineTool({
  name: "p2p_taskqueue_cache_set",
  description:
    "Put a value into the cache that nodes share, replacing what was under the key. For what can be computed again; results of tasks are kept by the queue.",
  input: z.strictObject({
    key: z.string().trim().min(1).max(MAX_KEY_CHARS).describe("Key of the entry"),
    value: z.unknown().describe("Any JSON value"),
    ttl_s: z
      .number()
      .min(0)
      .nullish()
      .describe("How long it holds, in seconds; 0 or null: until it is evicted"),
    timeout_s: timeoutField(10),
    ...targetFields,
  }),
  output: z.object({
    ok: z.literal(true),
    key: z.string(),
    version: z.int().describe("Grows with every write of the key"),
    peer_id: z.string().describe("Peer id of the node whose cache was written"),
  }),
  annotations: sets("Write the shared cache"),
  grant: "cache",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const target = targetOf(input);
    const ttlMs = input.ttl_s ? input.ttl_s * 1000 : undefined;
    const version = await context
      .cache(target)
      .set(input.key, input.value, ttlMs, { signal: context.signal });
    return { ok: true, key: input.key, version, peer_id: await context.peerIdOf(target) };
  },
});
