import { loadConfig, SETTING_NAMES } from "../../config.ts";
import { onOff } from "../../config/kind.ts";
import type { Command, Option } from "../command.ts";

const STDIO: Option<boolean> = {
  flag: "stdio",
  kind: onOff(),
  summary: "Serve MCP over standard input and output too, and end when the input does.",
};

/** Runs a node. */
export const serve: Command = {
  name: "serve",
  summary: "Run a node: an MCP server, a libp2p peer, a durable queue and a worker.",
  description:
    "Asked to end (SIGINT or SIGTERM), it finishes or hands back its work within the drain time and exits 0; asked twice, it exits at once.",
  args: [],
  options: [STDIO],
  settings: SETTING_NAMES,
  client: false,
  runsUntilStopped: true,
  examples: [
    { line: "mcpp serve", does: "a node on http://127.0.0.1:8000/mcp" },
    { line: "mcpp serve --port 0 --json", does: "any free port; one line of JSON when it is ready" },
    { line: "mcpp serve --stdio --no-http", does: "for hosts that start their MCP servers themselves" },
    {
      line: `mcpp serve --mount fs="npx -y @modelcontextprotocol/server-filesystem ."`,
      does: "another server's tools, made durable",
    },
  ],
  json: '{"ok":true,"ready":true,"peer_id":string,"url":string|null,"multiaddrs":string[],"data_dir":string,"pid":number}, when it is ready; nothing with --stdio',

  async run(invocation) {
    const loaded = loadConfig({ flags: invocation.flags });
    const { runNode } = await import("../run-node.ts");
    await runNode(loaded, {
      stdio: invocation.get(STDIO) ?? false,
      out: invocation.out,
    });
  },
};
