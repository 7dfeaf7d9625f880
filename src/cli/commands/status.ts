import { onOff } from "../../config/kind.ts";
import type { Command, Option } from "../command.ts";
import { PEER } from "../options.ts";

const DETAIL: Option<boolean> = {
  flag: "detail",
  kind: onOff(),
  summary: "Also the scheduler, the peers and workers it knows, and its queue.",
};

/** Shows how a node is. */
export const status: Command = {
  name: "status",
  summary: "Show how a node is and what it can do.",
  args: [],
  options: [DETAIL, PEER],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    { line: "mcpp status", does: "the node of this machine" },
    { line: "mcpp status --peer 12D3KooW… --detail", does: "another one, through it" },
  ],
  json: '{"ok":true,"peer_id":string,"capabilities":object,…}, as p2p_taskqueue_status gives it',

  async run(invocation) {
    const { peerArguments, withNode } = await import("../session.ts");
    const { flatRows } = await import("../arguments.ts");
    const { table } = await import("../table.ts");
    await withNode(invocation, async (session) => {
      const args = { detail: invocation.get(DETAIL) ?? false, ...peerArguments(invocation.get(PEER)) };
      const answer = await session.call("p2p_taskqueue_status", args);
      const header = invocation.out.isTerminal ? ["WHAT", "VALUE"] : undefined;
      invocation.out.result(table([["node", session.target], ...flatRows(answer)], header), answer);
    });
  },
};
