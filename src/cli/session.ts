/** A command's conversation with a node: which one, and calling its tools. */
import { readFile } from "node:fs/promises";
import type { Client } from "../client/client.ts";
import { type LoadedConfig, loadConfig, type NodeConfig } from "../config.ts";
import { isJsonObject, type JsonObject } from "../content/json.ts";
import { holderOf } from "../data-folder.ts";
import { UnreachableError } from "../errors.ts";
import { abortable } from "../nursery/index.ts";
import type { Invocation } from "./command.ts";

/** How long a call may take if the command knows no better. */
export const CALL_TIMEOUT_MS = 60_000;
/** A node on this machine answers at once or not at all. */
const CONNECT_TIMEOUT_MS = 15_000;

/** A connection to a node, as commands use it. */
export interface Session {
  readonly client: Client;
  /** Where it leads. */
  readonly target: string;
  /**
   * Calls one of the node's own tools.
   *
   * @param timeoutMs - how long it may take. Default {@link CALL_TIMEOUT_MS}
   * @returns its structured answer
   * @throws McpError with the code that the tool failed with
   */
  call(tool: string, args: JsonObject, timeoutMs?: number): Promise<JsonObject>;
}

/**
 * Connects to the node that the command is meant for, does `work`, and closes the connection.
 *
 * @throws UnreachableError if nobody is there
 */
export async function withNode<T>(
  { flags, out }: Invocation,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const loaded = loadConfig({ flags });
  for (const warning of loaded.warnings) out.warn(warning);
  const target = await targetOf(loaded);
  const client = await connectTo(target, loaded.config.token);
  try {
    return await work({
      client,
      target,
      call: (tool, args, timeoutMs = CALL_TIMEOUT_MS) =>
        abortable((signal) => client.call(tool, args, { signal, timeoutMs })),
    });
  } finally {
    await client.close();
  }
}

/** The configured node; else the one that runs in the data folder; else where one runs by default. */
export async function targetOf({ config, node }: LoadedConfig): Promise<string> {
  return node ?? (await localUrl(config)) ?? `http://${config.host}:${config.port}${config.mountPath}`;
}

/** Arguments that send a call on to the peer that was asked for, by its id or multiaddr. */
export function peerArguments(peer: string | undefined): JsonObject {
  if (peer === undefined) return {};
  return peer.startsWith("/") ? { remote_multiaddr: peer } : { remote_peer_id: peer };
}

async function connectTo(target: string, token: string | undefined): Promise<Client> {
  const { connect } = await import("../connect.ts");
  try {
    return await abortable((signal) => connect(target, { signal, timeoutMs: CONNECT_TIMEOUT_MS, token }));
  } catch (error) {
    if (!(error instanceof UnreachableError) || error.hint !== undefined) throw error;
    throw new UnreachableError(error.message, {
      cause: error,
      hint: "start a node with `mcpp serve`, or name another one with --node or MCPP_NODE",
    });
  }
}

/** The URL that the node of this data folder has announced, if that node lives. */
async function localUrl({ dataDir, announceFile }: NodeConfig): Promise<string | undefined> {
  if (announceFile === "off" || (await holderOf(dataDir)) === undefined) return undefined;
  const text = await readFile(announceFile, "utf8").catch((error: unknown) => {
    // The node may have been started with another file, or with none.
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "{}";
    throw error;
  });
  const announced: unknown = JSON.parse(text);
  const url = isJsonObject(announced) ? announced["mcp_url"] : undefined;
  return typeof url === "string" ? url : undefined;
}
