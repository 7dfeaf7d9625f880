/** A node in miniature: starts a stubborn server with a registry, lets it start others, says their pids, and waits. */
import { openConnection } from "../../../src/client/connection.ts";
import { textOf } from "../../../src/client/tool.ts";
import { silentLogger } from "../../../src/logger.ts";
import { openNursery, sleepForever } from "../../../src/nursery/index.ts";
import { openChildRegistry } from "../../../src/transport/child-registry.ts";
import { toolsServer } from "./index.ts";

const registry = await openChildRegistry(process.argv[2] ?? "");
await openNursery(async (nursery) => {
  const connection = await openConnection({
    openTransport: async () => toolsServer(nursery, ["--stubborn"], { registry }),
    clientInfo: { name: "parent", version: "1" },
    target: "tools",
    logger: silentLogger,
  });
  const pidOf = async (tool: string, args = {}): Promise<number> =>
    Number(textOf(await connection.callTool(tool, args)));
  const pids = [
    await pidOf("pid"),
    await pidOf("spawn", { detached: false }),
    await pidOf("spawn", { detached: true }),
  ];
  process.stdout.write(`${JSON.stringify(pids)}\n`);
  await sleepForever();
});
