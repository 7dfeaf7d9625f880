/** Runs a node until it is asked to end: what `serve` and `worker` share. */
import { type LoadedConfig, ownSlot, settingName } from "../config.ts";
import { ConfigError, hasCode } from "../errors.ts";
import type { Node } from "../node.ts";
import { abandonOnCancel, shield } from "../nursery/index.ts";
import type { Output } from "./output.ts";

/** What closing may take beyond the drain time: flushing, and ending mounted processes. */
const CLOSE_MS = 15_000;

/** How the node is run. */
export interface RunNodeOptions {
  /** Serve MCP over standard input and output, and end with the input. */
  readonly stdio: boolean;
  readonly out: Output;
}

/**
 * Starts the node, says that it is ready, and closes it when the caller is cancelled or it ends by itself. With standard
 * input and output on a data folder that a node has already, that node serves them.
 *
 * @throws what {@link createNode} throws, or the failure that ended the node
 */
export async function runNode(loaded: LoadedConfig, { stdio, out }: RunNodeOptions): Promise<void> {
  if (ownSlot() !== undefined) {
    const { runMember } = await import("../node/processes/member.ts");
    await runMember(loaded.config);
    return;
  }
  for (const warning of loaded.warnings) out.warn(warning);
  if (loaded.config.processes > 1) {
    await runSeveral(loaded, { stdio, out });
    return;
  }
  const node = stdio ? await openNodeOrBridge(loaded, out) : await openNode(loaded);
  if (node === undefined) return;
  try {
    sayReady(node, loaded, stdio, out);
    await abandonOnCancel(stdio ? Promise.race([node.serveStdio(), node.ended]) : node.ended);
  } finally {
    out.note("closing; once more ends at once");
    await shield(loaded.config.drainMs + CLOSE_MS, () => node.close());
  }
}

/** Runs a node of several processes. */
async function runSeveral(loaded: LoadedConfig, { stdio, out }: RunNodeOptions): Promise<void> {
  if (stdio) {
    throw new ConfigError(settingName("processes", loaded), undefined, "must be 1 with --stdio");
  }
  const { runProcesses } = await import("../node/processes/parent.ts");
  try {
    await runProcesses(loaded.config, (node) => sayReady(node, loaded, stdio, out));
  } catch (error) {
    throw namingPort(error, loaded);
  } finally {
    out.note("closed");
  }
}

/** What is said of a node. */
type ReadyNode = Pick<Node, "peerId" | "url" | "multiaddrs">;

/** @returns undefined after a node that has the data folder has served standard input to its end */
async function openNodeOrBridge(loaded: LoadedConfig, out: Output): Promise<Node | undefined> {
  for (;;) {
    try {
      return await openNode(loaded);
    } catch (error) {
      if (!hasCode(error, "E_STORE_LOCKED")) throw error;
      const { bridgeToHolder } = await import("./stdio-bridge.ts");
      if (await bridgeToHolder(loaded, out, error)) return undefined;
    }
  }
}

/** Creates the node; where HTTP cannot listen, says which setting has the address from where. */
async function openNode(loaded: LoadedConfig): Promise<Node> {
  const { createNode } = await import("../node.ts");
  try {
    return await createNode(loaded.config);
  } catch (error) {
    throw namingPort(error, loaded);
  }
}

/** A failure to listen with the name of the setting that has the address; any other as it is. */
function namingPort(error: unknown, loaded: LoadedConfig): unknown {
  const cause = error instanceof ConfigError ? error.cause : undefined;
  const ofHttp = cause instanceof Error && "syscall" in cause && cause.syscall === "listen";
  if (!ofHttp || !(error instanceof ConfigError)) return error;
  const { message, hint } = error;
  return new ConfigError(settingName("port", loaded), undefined, `cannot be used: ${message}`, {
    cause: error,
    hint,
  });
}

function sayReady(node: ReadyNode, { config }: LoadedConfig, stdio: boolean, out: Output): void {
  const lines = [
    `peer id   ${node.peerId || "none (P2P is off)"}`,
    ...(node.url === undefined ? [] : [`MCP       ${node.url}`]),
    ...node.multiaddrs.map((address) => `listening ${address}`),
    `data      ${config.dataDir}`,
    ...(config.workers > 0 ? [`working   on ${config.workers} tasks at once${workFor(config.workFor)}`] : []),
    ...(node.url === undefined
      ? []
      : [`add it    {"mcpServers":{"${config.name}":{"type":"http","url":"${node.url}"}}}`]),
  ];
  out.note(lines.join("\n"));
  // With --stdio the output belongs to MCP.
  if (stdio || !out.json) return;
  out.result("", {
    ok: true,
    ready: true,
    peer_id: node.peerId,
    url: node.url ?? null,
    multiaddrs: node.multiaddrs,
    data_dir: config.dataDir,
    pid: process.pid,
  });
}

function workFor(queues: readonly string[]): string {
  return queues.length === 0 ? "" : `, also for ${queues.join(", ")}`;
}
