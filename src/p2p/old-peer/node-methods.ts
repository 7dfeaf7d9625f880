/** What nodes and caches do for each other, in the words of old peers. */
import { cacheMethods } from "../../cache/methods.ts";
import type { JsonObject } from "../../content/json.ts";
import { nodeHeartbeat, nodeStatus, toolCall } from "../../peer/methods.ts";
import { refusalOf } from "./refusal.ts";
import { type OldExchange, seconds, translate, type Translation } from "./translation.ts";

/** Old caches keep no versions. */
const NO_VERSION = 0;

async function callTool(name: string, args: JsonObject, exchange: OldExchange): Promise<JsonObject> {
  const timeoutS = seconds(exchange.timeoutMs);
  const answer = await exchange.askAnyway({ op: "call_tool", tool_name: name, args, timeout_s: timeoutS });
  // With the tool's name it is the tool that failed, and that is an answer; without it the call was refused.
  if (answer["ok"] === false && answer["tool"] === undefined) throw refusalOf(exchange.peerId, answer);
  return answer;
}

const cacheRequest = (op: string, key: string, { timeoutMs }: OldExchange): JsonObject => ({
  op,
  key,
  timeout_s: seconds(timeoutMs),
});

/** The translations. */
export const nodeTranslations: readonly Translation[] = [
  translate(nodeStatus, true, ({ detail }, exchange) =>
    exchange.ask({ op: "status", timeout_s: seconds(exchange.timeoutMs), detail }),
  ),
  translate(nodeHeartbeat, true, ({ peerId, clock = null }, exchange) =>
    exchange.ask({ op: "peer.heartbeat", peer_id: peerId, clock }),
  ),
  translate(toolCall, false, ({ name, args }, exchange) => callTool(name, args, exchange)),
  translate(cacheMethods.get, true, async ({ key }, exchange) => {
    const answer = await exchange.ask(cacheRequest("cache.get", key, exchange));
    return answer["hit"] === true ? { entry: { value: answer["value"], version: NO_VERSION } } : {};
  }),
  translate(cacheMethods.has, true, async ({ key }, exchange) => ({
    hit: (await exchange.ask(cacheRequest("cache.has", key, exchange)))["hit"] === true,
  })),
  translate(cacheMethods.set, false, async ({ key, value = null, ttlMs }, exchange) => {
    const ttl = ttlMs === undefined ? {} : { ttl_s: seconds(ttlMs) };
    const timeoutS = seconds(exchange.timeoutMs);
    await exchange.ask({ op: "cache.set", key, value, timeout_s: timeoutS, ...ttl });
    return { version: NO_VERSION };
  }),
  translate(cacheMethods.delete, false, async ({ key }, exchange) => ({
    deleted: (await exchange.ask(cacheRequest("cache.delete", key, exchange)))["deleted"] === true,
  })),
];
