import * as z from "zod";
import { MAX_KEY_CHARS } from "../../cache/cache.ts";
import { ends } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { deadlineOf, targetFields, targetOf, timeoutField } from "./target.ts";

/** Removes an entry of the shared cache. */
export const cacheDelete: Tool = defineTool({
  name: "p2p_taskqueue_cache_delete",
  description:
    "Remove a value from the cache that nodes share, also from the copies that peers keep of it. Does nothing if there is none.",
  input: z.strictObject({
    key: z.string().trim().min(1).max(MAX_KEY_CHARS).describe("Key of the entry"),
    timeout_s: timeoutField(10),
    ...targetFields,
  }),
  output: z.object({
    ok: z.literal(true),
    key: z.string(),
    deleted: z.boolean().describe("Whether there was an entry"),
    peer_id: z.string().describe("Peer id of the node whose cache was changed"),
  }),
  annotations: ends("Delete from the shared cache"),
  grant: "cache",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const target = targetOf(input);
    const deleted = await context.cache(target).delete(input.key, { signal: context.signal });
    return { ok: true, key: input.key, deleted, peer_id: await context.peerIdOf(target) };
  },
});
