import { duration, integer, list, onOff, text as textKind } from "../../config/kind.ts";
import type { JsonObject } from "../../content/json.ts";
import type { Command, Option } from "../command.ts";

/** How often `--watch` looks again. */
const WATCH_MS = 2000;

const CAPABILITIES: Option<boolean> = {
  flag: "capabilities",
  kind: onOff(),
  summary: "Also ask each peer what it can do.",
};
const LIMIT: Option<number> = {
  flag: "limit",
  kind: integer("count", 0, 1000),
  summary: "At most so many peers; default 50.",
};
const FIND: Option<readonly string[]> = {
  flag: "method",
  kind: list(textKind("mechanism", "the name of a mechanism")),
  summary: "Mechanism to look with, if no peer is known.",
};
const TIMEOUT: Option<number> = {
  flag: "timeout",
  kind: duration(100, 60_000),
  summary: "How long to look, if no peer is known; default 1.5s.",
};
const WATCH: Option<boolean> = {
  flag: "watch",
  kind: onOff(),
  summary: "Go on, and show the list as it changes; on a terminal only.",
};

/** Lists peers. */
export const peers: Command = {
  name: "peers",
  summary: "List the peers that a node knows; if it knows none, it looks for some.",
  args: [],
  options: [CAPABILITIES, LIMIT, FIND, TIMEOUT, WATCH],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    { line: "mcpp peers", does: "newest first" },
    { line: "mcpp peers --capabilities --json", does: "with what each can do" },
  ],
  json: '{"ok":true,"self_peer_id":string,"listen_port":number,"started_at":number,"count":number,"peers":object[]}, as list_peers gives it',

  async run(invocation) {
    const { withNode } = await import("../session.ts");
    const { rows } = await import("../tasks.ts");
    const { table } = await import("../table.ts");
    const { sleep } = await import("../../nursery/index.ts");
    const { out } = invocation;
    const [limit, methods, timeoutMs] = [LIMIT, FIND, TIMEOUT].map((option) =>
      invocation.get<unknown>(option),
    );
    const args: JsonObject = {
      ...(invocation.get(CAPABILITIES) === true && { include_capabilities: true }),
      ...(typeof limit === "number" && { limit }),
      ...(Array.isArray(methods) && { discovery_methods: methods.map(String) }),
      ...(typeof timeoutMs === "number" && { discovery_timeout_s: timeoutMs / 1000 }),
    };
    const isAsked = invocation.get(CAPABILITIES) === true;
    const can = isAsked ? ["FREE", "MODELS", "TASKS"] : [];
    const header = ["PEER", "STATE", "PATH", "RTT", "FOUND BY", "SEEN", "ADDRESS", ...can];
    await withNode(invocation, async (session) => {
      const look = async (): Promise<{
        readonly answer: JsonObject;
        readonly lines: readonly string[][];
      }> => {
        const answer = await session.call("list_peers", args);
        const lines = rows(answer, "peers").map(async (row) => [
          ...(await line(row)),
          ...(isAsked ? capabilities(row) : []),
        ]);
        return { answer, lines: await Promise.all(lines) };
      };
      while (invocation.get(WATCH) === true && out.isLive) {
        out.live(table((await look()).lines, header).split("\n"));
        await sleep(WATCH_MS);
      }
      const { answer, lines } = await look();
      const empty = out.isTerminal && lines.length === 0;
      out.result(empty ? "no peers" : table(lines, out.isTerminal ? header : undefined), answer);
    });
  },
};

async function line(row: JsonObject): Promise<string[]> {
  const { number, text } = await import("../tasks.ts");
  const { age } = await import("../table.ts");
  const seconds = number(row, "age_s");
  const rttMs = number(row, "rtt_ms");
  const methods = Array.isArray(row["methods"]) ? row["methods"].join(",") : text(row, "method");
  return [
    text(row, "peer_id"),
    stateOf(row),
    text(row, "path") || "-",
    rttMs === undefined ? "-" : `${rttMs.toFixed(rttMs < 10 ? 1 : 0)} ms`,
    methods,
    seconds === undefined ? "never" : `${age(seconds * 1000)} ago`,
    text(row, "multiaddr"),
  ];
}

/** Free slots of all, models and task types, as far as the peer told. */
function capabilities(row: JsonObject): string[] {
  const told: JsonObject = { ...Object(row["capabilities"]) };
  const { total, free }: JsonObject = { ...Object(told["slots"]) };
  const slots = typeof total === "number" && typeof free === "number" ? `${free}/${total}` : "-";
  return [slots, words(told["models"]), words(told["task_types"])];
}

function words(all: unknown): string {
  return Array.isArray(all) && all.length > 0 ? all.join(",") : "-";
}

/** In one word: heard of only, gone, connected, or alive without a connection. */
function stateOf(row: JsonObject): string {
  if (row["discovered"] === true) return "heard of";
  if (row["alive"] !== true) return "stale";
  return row["connected"] === true ? "connected" : "alive";
}
