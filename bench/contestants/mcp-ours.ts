/** A whole node as `mcpp serve` opens it, its store and libp2p host included: `mcp-ours.ts <data folder>`. */
import { loadConfig } from "../../src/config.ts";
import { silentLogger } from "../../src/logger.ts";
import { createNode } from "../../src/node.ts";
import { answerParent } from "../shared/child.ts";

const [dataDir = ""] = process.argv.slice(2);
const { config } = loadConfig({
  flags: { dataDir, port: "0", listen: "/ip4/127.0.0.1/tcp/0", announceFile: "off", workers: "0" },
  env: {},
});
const node = await createNode(config, { logger: silentLogger });
answerParent({ url: () => node.url });
