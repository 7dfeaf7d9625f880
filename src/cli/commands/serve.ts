import { type LoadedConfig, loadConfig, SETTING_NAMES } from "../../config.ts";
import { onOff } from "../../config/kind.ts";
import type { Command, Option } from "../command.ts";

const STDIO: Option<boolean> = {
  flag: "stdio",
  kind: onOff(),
  summary:
    "Serve MCP over standard input and output, and end when the input does. HTTP only if --http or --port asks for it.",
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
    { line: "mcpp serve --stdio", does: "for hosts that start their MCP servers themselves" },
    {
      line: `mcpp serve --mount fs="npx -y @modelcontextprotocol/server-filesystem ."`,
      does: "another server's tools, made durable",
    },
  ],
  json: '{"ok":true,"ready":true,"peer_id":string,"url":string|null,"multiaddrs":string[],"data_dir":string,"pid":number}, when it is ready; nothing with --stdio',

  async run(invocation) {
    const stdio = invocation.get(STDIO) ?? false;
    const asked = loadConfig({ flags: invocation.flags });
    const loaded = stdio ? withoutUnaskedHttp(asked) : asked;
    const { runNode } = await import("../run-node.ts");
    await runNode(loaded, { stdio, out: invocation.out });
  },
};

/** A host that starts a node has its way to it already, and may start several: they must not quarrel about a port. */
function withoutUnaskedHttp(loaded: LoadedConfig): LoadedConfig {
  const { origins, config } = loaded;
  if (origins.get("http") !== "default" || origins.get("port") !== "default") return loaded;
  return { ...loaded, config: { ...config, http: false } };
}
