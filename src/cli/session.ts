/** A command's conversation with a node: connecting to it, and calling its tools. */
import type { Client } from "../client/client.ts";
import { type LoadedConfig, loadConfig } from "../config.ts";
import type { JsonObject } from "../content/json.ts";
import { McpError, UnreachableError } from "../errors.ts";
import { abortable } from "../nursery/index.ts";
import type { Invocation } from "./command.ts";
import { callerIdentity, noNodeIn, type Target, targetOf } from "./target.ts";

/** How long a call may take if the command knows no better. */
export const CALL_TIMEOUT_MS = 60_000;
/** A node on this machine answers at once or not at all. */
const CONNECT_TIMEOUT_MS = 15_000;

/** A connection to a node, as commands use it. */
export interface Session {
  readonly client: Client;
  /** Where it leads. */
  readonly target: string;
  /** How that is known. */
  readonly from: Target["from"];
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
  invocation: Invocation,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(configOf(invocation));
  try {
    return await work(session);
  } finally {
    await session.client.close();
  }
}

/** The configuration of a command that talks to a node; prints what is odd about it. */
export function configOf({ flags, out }: Invocation): LoadedConfig {
  const loaded = loadConfig({ flags });
  for (const warning of loaded.warnings) out.warn(warning);
  return loaded;
}

/**
 * Connects to the node that the configuration means; whoever calls this closes the client.
 *
 * @param before - how the node was found the first time: one of a data folder is not looked for anywhere else
 * @throws UnreachableError if nobody is there, or if it is another node
 */
export async function openSession(loaded: LoadedConfig, before?: Target["from"]): Promise<Session> {
  const found = await targetOf(loaded);
  if (before === "folder" && found.from === "port") throw noNodeIn(loaded.config.dataDir);
  const client = await connectTo(found, loaded);
  const session: Session = {
    client,
    target: found.address,
    from: found.from,
    call: (tool, args, timeoutMs = CALL_TIMEOUT_MS) =>
      abortable((signal) => client.call(tool, args, { signal, timeoutMs })),
  };
  if (found.mustBe === undefined) return session;
  try {
    await requirePeer(session, found.mustBe, loaded.config.dataDir);
  } catch (error) {
    await client.close();
    throw error;
  }
  return session;
}

/** Arguments that send a call on to the peer that was asked for, by its id or multiaddr. */
export function peerArguments(peer: string | undefined): JsonObject {
  if (peer === undefined) return {};
  return peer.startsWith("/") ? { remote_multiaddr: peer } : { remote_peer_id: peer };
}

async function connectTo({ address, mustBe }: Target, { config }: LoadedConfig): Promise<Client> {
  const { connect } = await import("../connect.ts");
  const identityFile = await callerIdentity(config, address);
  const { token, swarmKeyFile } = config;
  const options = { timeoutMs: CONNECT_TIMEOUT_MS, token, swarmKeyFile, identityFile };
  try {
    return await abortable((signal) => connect(address, { ...options, signal }));
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    if (mustBe !== undefined) throw noNodeIn(config.dataDir, error);
    if (error.hint !== undefined) throw error;
    throw new UnreachableError(error.message, {
      cause: error,
      hint: "start a node with `mcpp serve`, or name another one with --node or MCPP_NODE",
    });
  }
}

/** Makes sure that whoever answers has the identity of the data folder. */
async function requirePeer(session: Session, peerId: string, dataDir: string): Promise<void> {
  try {
    const { peer_id: answering } = await session.call("p2p_taskqueue_status", {});
    if (answering === peerId) return;
  } catch (error) {
    if (error instanceof McpError) throw noNodeIn(dataDir, error);
    throw error;
  }
  const { message, hint } = noNodeIn(dataDir);
  throw new UnreachableError(`${message}; the one at ${session.target} is another`, { hint });
}
