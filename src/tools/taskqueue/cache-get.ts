import * as z from "zod";
import { MAX_KEY_CHARS } from "../../cache/cache.ts";
import { reads } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { deadlineOf, targetFields, targetOf, timeoutField } from "./target.ts";

/** Reads an entry of the shared cache. */
export const cacheGet: Tool = defineTool({
  name: "p2p_taskqueue_cache_get",
  description:
    "Read a value from the cache that nodes share. hit is false if there is none or it has expired; entries may vanish at any time.",
  input: z.strictObject({
    key: z.string().trim().min(1).max(MAX_KEY_CHARS).describe("Key of the entry"),
    timeout_s: timeoutField(10),
    ...targetFields,
  }),
  output: z.object({
    ok: z.boolean(),
    key: z.string(),
    hit: z.boolean(),
    value: z.unknown().describe("The value; null if there was none"),
    version: z.int().nullable().describe("Grows with every write of the key; null if there was none"),
    expires_at: z.number().nullable().describe("When it ends, in seconds since 1970; null: never by time"),
    peer_id: z.string().describe("Peer id of the node whose cache was read"),
  }),
  annotations: reads("Read the shared cache"),
  grant: "cache",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const target = targetOf(input);
    // The context has the signal, which is made when somebody asks for it: this node's own cache does not.
    const hit = await context.cache(target).get(input.key, context);
    return {
      ok: true,
      key: input.key,
      hit: hit !== undefined,
      value: hit?.value ?? null,
      version: hit?.version ?? null,
      expires_at: hit?.expiresAtMs === undefined ? null : hit.expiresAtMs / 1000,
      peer_id: await context.peerIdOf(target),
    };
  },
});
