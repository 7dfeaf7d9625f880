import { CacheMissError } from "../../errors.ts";
import { CACHE_PEER, KEY } from "../cache.ts";
import type { Command } from "../command.ts";
import { firstArgument } from "../options.ts";

/** Tells whether the shared cache has an entry. */
export const cacheHas: Command = {
  name: "cache has",
  summary: "Exit 0 if there is a value under a key, 1 if there is none.",
  args: [KEY],
  options: [CACHE_PEER],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [{ line: "mcpp cache has repo:stars", does: "without reading the value, which may be large" }],
  json: '{"ok":true,"key":string,"hit":true,"peer_id":string}',

  async run(invocation) {
    const { peerArguments, withNode } = await import("../session.ts");
    const key = firstArgument(invocation);
    await withNode(invocation, async (session) => {
      const args = { key, ...peerArguments(invocation.get(CACHE_PEER)) };
      const answer = await session.call("p2p_taskqueue_cache_has", args);
      if (answer["hit"] !== true) throw new CacheMissError(key);
      invocation.out.result("yes", answer);
    });
  },
};
