import { loadConfig, SETTING_NAMES, settingName } from "../../config.ts";
import { ConfigError } from "../../errors.ts";
import type { Command } from "../command.ts";

/** Runs a node that works for others. */
export const worker: Command = {
  name: "worker",
  summary: "Run a node without HTTP that works for other nodes' queues.",
  description:
    "Asked to end (SIGINT or SIGTERM), it finishes or hands back its work within the drain time and exits 0; asked twice, it exits at once.",
  args: [],
  options: [],
  settings: SETTING_NAMES.filter(
    (name) => !["http", "host", "port", "mountPath", "processes"].includes(name),
  ),
  client: false,
  runsUntilStopped: true,
  examples: [
    { line: "mcpp worker --work-for discovered", does: "work for every node that is found" },
    { line: "mcpp worker --work-for /ip4/10.0.0.5/tcp/4001/p2p/12D3KooW…", does: "work for one node" },
    {
      line: "mcpp worker --data-dir ./worker-1 --database ~/.local/share/mcplusplus/queue.db",
      does: "work beside another node of this machine, on its queue",
    },
    {
      line: `mcpp worker --work-for discovered --mount fs="npx -y @modelcontextprotocol/server-filesystem ."`,
      does: "offer it these tools",
    },
  ],
  json: '{"ok":true,"ready":true,"peer_id":string,"url":null,"multiaddrs":string[],"data_dir":string,"pid":number}, when it is ready',

  async run({ flags, out }) {
    const loaded = loadConfig({ flags: { ...flags, http: false, processes: "1" } });
    const { workFor, workers, p2p } = loaded.config;
    const sharesQueue = loaded.origins.get("database") !== "default";
    if (workFor.length === 0 && !sharesQueue) {
      throw new ConfigError(settingName("workFor", loaded), undefined, "must name at least one queue", {
        hint: "--work-for discovered works for every node that is found, --database for a queue on this machine",
      });
    }
    if (workers === 0)
      throw new ConfigError(settingName("workers", loaded), undefined, "must be at least 1 for a worker");
    if (!p2p && workFor.length > 0)
      throw new ConfigError(
        settingName("p2p", loaded),
        undefined,
        "must be on to work for other nodes: their queues are reached over libp2p",
      );
    const { runNode } = await import("../run-node.ts");
    await runNode(loaded, { stdio: false, out });
  },
};
