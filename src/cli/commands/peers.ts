import type { JsonObject } from "../../content/json.ts";
import type { Command } from "../command.ts";

/** Lists peers. */
export const peers: Command = {
  name: "peers",
  summary: "List the peers that a node knows; if it knows none, it looks for some.",
  args: [],
  options: [],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [{ line: "mcpp peers", does: "newest first" }],
  json: '{"ok":true,"self_peer_id":string,"listen_port":number,"started_at":number,"count":number,"peers":object[]}, as list_peers gives it',

  async run(invocation) {
    const { withNode } = await import("../session.ts");
    const { number, rows, text } = await import("../tasks.ts");
    const { age, table } = await import("../table.ts");
    const line = (row: JsonObject): readonly string[] => {
      const seconds = number(row, "age_s");
      const seen = seconds === undefined ? "never" : `${age(seconds * 1000)} ago`;
      return [
        text(row, "peer_id"),
        row["connected"] === true ? "connected" : "-",
        text(row, "method"),
        seen,
        text(row, "multiaddr"),
      ];
    };
    await withNode(invocation, async (session) => {
      const answer = await session.call("list_peers", {});
      const lines = rows(answer, "peers").map(line);
      const header = ["PEER", "STATE", "FOUND BY", "SEEN", "ADDRESS"];
      const empty = invocation.out.isTerminal && lines.length === 0;
      invocation.out.result(
        empty ? "no peers" : table(lines, invocation.out.isTerminal ? header : undefined),
        answer,
      );
    });
  },
};
