import { duration } from "../../config/kind.ts";
import { CACHE_PEER, KEY } from "../cache.ts";
import type { Command, Option } from "../command.ts";
import { firstArgument } from "../options.ts";

/** Entries that should hold longer name no time. */
const MAX_TTL_MS = 10 * 366 * 86_400_000;

const TTL: Option<number> = {
  flag: "ttl",
  kind: duration(1, MAX_TTL_MS),
  summary: "How long it holds, e.g. 10m. Default: until it is evicted.",
};

/** Puts a value into the shared cache. */
export const cacheSet: Command = {
  name: "cache set",
  summary: "Put a value under a key, replacing what was there, and print its version.",
  args: [KEY, { name: "<value>", summary: "JSON; what is no JSON counts as text." }],
  options: [TTL, CACHE_PEER],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    { line: `mcpp cache set repo:stars '{"count":12}' --ttl 10m`, does: "for ten minutes" },
    { line: "mcpp cache set greeting hello", does: "text" },
  ],
  json: '{"ok":true,"key":string,"version":number,"peer_id":string}',

  async run(invocation) {
    const { parsePairs } = await import("../arguments.ts");
    const { peerArguments, withNode } = await import("../session.ts");
    const key = firstArgument(invocation);
    const ttlMs = invocation.get(TTL);
    const args = {
      key,
      ...parsePairs([`value=${invocation.args[1] ?? ""}`]),
      ...(ttlMs !== undefined && { ttl_s: ttlMs / 1000 }),
      ...peerArguments(invocation.get(CACHE_PEER)),
    };
    await withNode(invocation, async (session) => {
      const answer = await session.call("p2p_taskqueue_cache_set", args);
      invocation.out.result(String(answer["version"]), answer);
    });
  },
};
