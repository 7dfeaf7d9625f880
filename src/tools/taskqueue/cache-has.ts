import * as z from "zod";
import { MAX_KEY_CHARS } from "../../cache/cache.ts";
import { reads } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { deadlineOf, targetFields, targetOf, timeoutField } from "./target.ts";

/** Asks whether the shared cache has an entry. */
export const cacheHas: Tool = defineTool({
  name: "p2p_taskqueue_cache_has",
  description:
    "Ask whether the cache that nodes share has a value under a key, without reading it: values may be large.",
  input: z.strictObject({
    key: z.string().trim().min(1).max(MAX_KEY_CHARS).describe("Key of the entry"),
    timeout_s: timeoutField(10),
    ...targetFields,
  }),
  output: z.object({
    ok: z.literal(true),
    key: z.string(),
    hit: z.boolean().describe("Whether there is an entry that still holds; a stored null is one"),
    peer_id: z.string().describe("Peer id of the node whose cache was asked"),
  }),
  annotations: reads("Look into the shared cache"),
  grant: "cache",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const target = targetOf(input);
    const hit = await context.cache(target).has(input.key, { signal: context.signal });
    return { ok: true, key: input.key, hit, peer_id: await context.peerIdOf(target) };
  },
});
