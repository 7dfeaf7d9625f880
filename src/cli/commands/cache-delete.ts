import { CACHE_PEER, KEY } from "../cache.ts";
import type { Command } from "../command.ts";
import { firstArgument } from "../options.ts";

/** Deletes a value from the shared cache. */
export const cacheDelete: Command = {
  name: "cache delete",
  summary: "Remove the value under a key, also from the copies of it at peers.",
  args: [KEY],
  options: [CACHE_PEER],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [{ line: "mcpp cache delete repo:stars", does: "exits 0 as well if there was none" }],
  json: '{"ok":true,"key":string,"deleted":boolean,"peer_id":string}',

  async run(invocation) {
    const { peerArguments, withNode } = await import("../session.ts");
    const key = firstArgument(invocation);
    await withNode(invocation, async (session) => {
      const args = { key, ...peerArguments(invocation.get(CACHE_PEER)) };
      const answer = await session.call("p2p_taskqueue_cache_delete", args);
      invocation.out.result(answer["deleted"] === true ? `deleted ${key}` : `there was no ${key}`, answer);
    });
  },
};
