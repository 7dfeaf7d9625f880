import * as z from "zod";
import { reads } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { deadlineOf, targetFields, targetOf, timeoutField } from "./target.ts";

/** Asks how full the shared cache is and how its copies are. */
export const cacheStats: Tool = defineTool({
  name: "p2p_taskqueue_cache_stats",
  description:
    "Ask how much the cache that nodes share holds, what is being computed for it, and how far the copies at peers are.",
  input: z.strictObject({ ...targetFields, timeout_s: timeoutField(10) }),
  output: z.object({
    ok: z.literal(true),
    entries: z.int().describe("Entries that hold"),
    bytes: z.number().describe("Their keys and values, in bytes"),
    tombstones: z.int().describe("Deletes that are remembered for peers that were away"),
    computing: z.int().describe("Values that are being computed while others may wait for them"),
    waiting: z.int().describe("Callers that wait for those"),
    replicas: z.array(
      z.object({
        peer: z.string().describe("Peer id or multiaddr of the copy"),
        state: z.enum(["current", "behind", "away"]),
        sent: z.int().describe("Entries that it took from this node"),
        received: z.int().describe("Entries that this node took from it"),
        deferred: z
          .int()
          .describe("Entries too large to be sent at once, which wait for the next comparison"),
        refused: z.int().describe("Entries whose version lies too far in the future"),
        failures: z.int().describe("Exchanges that failed"),
      }),
    ),
    peer_id: z.string().describe("Peer id of the node whose cache it is"),
  }),
  annotations: reads("Shared cache statistics"),
  grant: "cache",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const target = targetOf(input);
    const { replicas, ...counts } = await context.cache(target).stats({ signal: context.signal });
    return { ok: true, ...counts, replicas: [...replicas], peer_id: await context.peerIdOf(target) };
  },
});
