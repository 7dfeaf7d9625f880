/** The name under which a node claims tasks. */
import { hostname } from "node:os";
import type { NodeConfig } from "../config.ts";
import type { ProcessShare } from "./processes/share.ts";

/** Recognisable in task lists: the machine's name, enough of the peer id to tell its nodes apart, and which process it is. */
export async function workerNameOf({
  config,
  share,
}: {
  readonly config: NodeConfig;
  readonly share?: ProcessShare | undefined;
}): Promise<string> {
  const name = config.workerId ?? `${hostname()}-${await ending(config)}`;
  return share === undefined ? name : `${name}-${share.slot}`;
}

async function ending({ p2p, dataDir }: NodeConfig): Promise<string> {
  if (!p2p) return String(process.pid);
  const { identityOf } = await import("./identity.ts");
  return (await identityOf(dataDir)).peerId.slice(-8);
}
