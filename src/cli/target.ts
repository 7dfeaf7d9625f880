/** Which node a command is for: the one that was named, the one of the data folder, or the one on the configured port. */
import { access, readFile } from "node:fs/promises";
import type { LoadedConfig, NodeConfig } from "../config.ts";
import { isJsonObject, type JsonObject } from "../content/json.ts";
import { dataPaths, type Holder, holderOf } from "../data-folder.ts";
import { UnreachableError } from "../errors.ts";
import { shellWord } from "./resume.ts";

/** Where a node is, and how that is known. */
export interface Target {
  /** URL or multiaddr. */
  readonly address: string;
  /** Named by the user, announced by the node that has the data folder, or only where one would be. */
  readonly from: "name" | "folder" | "port";
  /** The peer id that it must have to be the one that is meant; absent: any. "" is a node that is no peer. */
  readonly mustBe?: string | undefined;
}

/**
 * The configured node; else the one that runs in the data folder; else the one on the configured port, which, if the data
 * folder was chosen, must have that folder's identity: another node is not talked to by mistake.
 *
 * @throws UnreachableError if a data folder was chosen and no node can be its
 */
export async function targetOf({ config, node, origins }: LoadedConfig): Promise<Target> {
  if (node !== undefined) return { address: node, from: "name" };
  const holder = await holderOf(config.dataDir);
  const announced = holder && (await announcedAddress(config, holder));
  if (announced !== undefined) return { address: announced, from: "folder" };
  const onPort: Target = { address: `http://${config.host}:${config.port}${config.mountPath}`, from: "port" };
  if (origins.get("dataDir") === "default") return onPort;
  const { identity } = dataPaths(config.dataDir);
  if (!(await exists(identity))) throw noNodeIn(config.dataDir);
  // A node without peers announces nothing, and says that it has no peer id.
  if (holder !== undefined && !config.p2p) return { ...onPort, mustBe: "" };
  const { identityOf } = await import("../node/identity.ts");
  return { ...onPort, mustBe: (await identityOf(config.dataDir)).peerId };
}

/** That the node of a data folder does not run, or cannot be found. */
export function noNodeIn(dataDir: string, cause?: unknown): UnreachableError {
  return new UnreachableError(`no node runs in the data folder ${dataDir}, or it does not say where`, {
    cause,
    hint: `start one with \`mcpp serve --data-dir ${shellWord(dataDir)}\`, or name another one with --node`,
  });
}

/**
 * The identity to call the peer at `address` with: the data folder's, so that allow-lists know the caller, but only while
 * no node has that folder, because two hosts of one identity confuse each other's peers.
 *
 * @returns undefined for an identity made for this call
 */
export async function callerIdentity({ dataDir }: NodeConfig, address: string): Promise<string | undefined> {
  if (!address.startsWith("/") || (await holderOf(dataDir)) !== undefined) return undefined;
  const { identity } = dataPaths(dataDir);
  if (!(await exists(identity))) return undefined;
  const { identityOf } = await import("../node/identity.ts");
  const { peerId } = await identityOf(dataDir);
  return address.endsWith(`/p2p/${peerId}`) ? undefined : identity;
}

/** The URL, else the multiaddr, that the process which has the data folder has announced. */
export async function announcedAddress(
  { announceFile }: NodeConfig,
  holder: Holder,
): Promise<string | undefined> {
  const {
    pid,
    node_pid: nodePid = pid,
    mcp_url: url,
    multiaddr,
  } = announceFile === "off" ? {} : await readObject(announceFile);
  // What an earlier node of the folder has left behind says nothing about this one.
  if (nodePid !== holder.pid) return undefined;
  if (typeof url === "string") return url;
  return typeof multiaddr === "string" ? multiaddr : undefined;
}

/** Reads by hand: discovery's own reader brings libp2p, which takes half a second to load. */
async function readObject(file: string): Promise<JsonObject> {
  try {
    const value: unknown = JSON.parse(await readFile(file, "utf8"));
    return isJsonObject(value) ? value : {};
  } catch (error) {
    // The node may have been started with another file, or with none.
    if (isMissing(error)) return {};
    throw error;
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
