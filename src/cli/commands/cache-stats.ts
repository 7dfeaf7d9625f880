import type { JsonObject } from "../../content/json.ts";
import { CACHE_PEER } from "../cache.ts";
import type { Command } from "../command.ts";

const COUNTS = ["entries", "bytes", "tombstones", "computing", "waiting"] as const;
const REPLICA_COUNTS = ["sent", "received", "deferred", "refused", "failures"] as const;

/** Shows how full the shared cache is. */
export const cacheStats: Command = {
  name: "cache stats",
  summary: "Show how much the cache holds, what is being computed for it, and how its copies at peers are.",
  args: [],
  options: [CACHE_PEER],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [{ line: "mcpp cache stats", does: "counts, then a line for each copy" }],
  json: '{"ok":true,"entries":number,"bytes":number,"tombstones":number,"computing":number,"waiting":number,"replicas":object[],"peer_id":string}, as p2p_taskqueue_cache_stats gives it',

  async run(invocation) {
    const { peerArguments, withNode } = await import("../session.ts");
    const { number, rows, text } = await import("../tasks.ts");
    const { table } = await import("../table.ts");
    const cells = (row: JsonObject, names: readonly string[]): string[] =>
      names.map((name) => String(number(row, name) ?? 0));
    await withNode(invocation, async (session) => {
      const answer = await session.call(
        "p2p_taskqueue_cache_stats",
        peerArguments(invocation.get(CACHE_PEER)),
      );
      const counts = COUNTS.map((name) => [name, String(number(answer, name) ?? 0)]);
      const copies = rows(answer, "replicas").map((row) => [
        text(row, "peer"),
        text(row, "state"),
        ...cells(row, REPLICA_COUNTS),
      ]);
      const header = ["COPY AT", "STATE", ...REPLICA_COUNTS.map((name) => name.toUpperCase())];
      const lines = copies.length > 0 ? [table(copies, invocation.out.isTerminal ? header : undefined)] : [];
      invocation.out.result([table(counts), ...lines].join("\n"), answer);
    });
  },
};
