import type { Command } from "../command.ts";
import { firstArgument } from "../options.ts";

/** A node takes eight and a half seconds for it at most. */
const WHY_MS = 10_000;

/** Says why a peer is not reached. */
export const why: Command = {
  name: "why",
  summary: "Say why a peer is not reached: what was asked, what was dialled, and what to do about it.",
  description:
    "Has the node ask every mechanism and dial every address of the peer, also if it is connected; takes ten seconds at most. Exit code 0: it is reached and nothing is wrong; 1: there are problems.",
  args: [{ name: "peer", summary: "Peer id or multiaddr." }],
  options: [],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    { line: "mcpp why 12D3KooW…", does: "a peer, wherever it may be" },
    { line: "mcpp why /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW…", does: "a peer at an address" },
  ],
  json: '{"ok":true,"reached":boolean,"healthy":boolean,"findings":object[],"mechanisms":object[],"connections":object[],"elapsed_ms":number}, as p2p_why gives it',

  async run(invocation) {
    const { out } = invocation;
    const { withNode } = await import("../session.ts");
    const { findingLines, findingsIn, mechanismLines } = await import("../findings.ts");
    await withNode(invocation, async (session) => {
      const answer = await session.call("p2p_why", { peer: firstArgument(invocation) }, WHY_MS);
      const lines = [findingLines(findingsIn(answer), out), "", ...mechanismLines(answer)];
      out.result(lines.join("\n"), answer);
      if (answer["healthy"] !== true) out.exitCode = 1;
    });
  },
};
