import { CacheMissError } from "../../errors.ts";
import { CACHE_PEER, KEY } from "../cache.ts";
import type { Command } from "../command.ts";
import { firstArgument } from "../options.ts";

/** Prints a value of the shared cache. */
export const cacheGet: Command = {
  name: "cache get",
  summary: "Print the value under a key as JSON; exit 1 and print nothing if there is none.",
  args: [KEY],
  options: [CACHE_PEER],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    { line: "mcpp cache get repo:stars", does: "its value" },
    { line: "mcpp cache get repo:stars --quiet || compute-stars", does: "only if it is not there" },
  ],
  json: '{"ok":true,"key":string,"hit":true,"value":any,"version":number,"expires_at":number|null,"peer_id":string}',

  async run(invocation) {
    const { peerArguments, withNode } = await import("../session.ts");
    const key = firstArgument(invocation);
    await withNode(invocation, async (session) => {
      const args = { key, ...peerArguments(invocation.get(CACHE_PEER)) };
      const answer = await session.call("p2p_taskqueue_cache_get", args);
      if (answer["hit"] !== true) throw new CacheMissError(key);
      invocation.out.result(JSON.stringify(answer["value"], null, 2), answer);
    });
  },
};
