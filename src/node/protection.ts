/** From the settings to the protection of the libp2p host: its limits and its lists. */
import { readFile, stat } from "node:fs/promises";
import type { NodeConfig } from "../config.ts";
import { ConfigError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { sleep } from "../nursery/index.ts";
import type { AccessLists, P2pLimits } from "../p2p/index.ts";

/** How often the access file is looked at. */
const LOOK_MS = 2000;
/** A list of ten thousand entries; anything longer is another file. */
const MAX_FILE_BYTES = 1024 * 1024;
const LINE = /^(deny|only)\s+(\S+)$/;

/** The limits that the settings change. */
export function limitsOf(config: NodeConfig): Partial<P2pLimits> {
  const { maxConnections, maxConnectionsPerAddress, maxFrameBytes, maxPeerRequests, maxPeerRateBytes } =
    config;
  return {
    maxConnections,
    maxAddressConnections: maxConnectionsPerAddress,
    maxFrameBytes,
    maxServing: maxPeerRequests,
    peerBytesPerSecond: maxPeerRateBytes,
    peerBytesBurst: 2 * maxPeerRateBytes,
  };
}

/**
 * The lists of the settings and of the access file, if there is one.
 *
 * @throws ConfigError if the file cannot be read or holds what it must not
 */
export async function readAccess(config: NodeConfig): Promise<AccessLists> {
  const { denyPeers, denyAddresses, onlyPeers, onlyAddresses, accessFile } = config;
  if (accessFile === undefined) return { denyPeers, denyAddresses, onlyPeers, onlyAddresses };
  const more = parseAccess(await read("the access file", accessFile), accessFile);
  return {
    denyPeers: [...denyPeers, ...more.denyPeers],
    denyAddresses: [...denyAddresses, ...more.denyAddresses],
    onlyPeers: [...onlyPeers, ...more.onlyPeers],
    onlyAddresses: [...onlyAddresses, ...more.onlyAddresses],
  };
}

/**
 * Calls `onChange` with the lists whenever the access file has changed, until it is cancelled. A file that cannot be
 * read, or holds what it must not, changes nothing but the log.
 */
export async function watchAccess(
  config: NodeConfig,
  logger: Logger,
  onChange: (lists: AccessLists) => void,
): Promise<void> {
  const { accessFile } = config;
  if (accessFile === undefined) return;
  let inForce = await stampOf(accessFile);
  for (let last = inForce; ;) {
    await sleep(LOOK_MS);
    const now = await stampOf(accessFile);
    // One that is being written may be empty for a moment, which would let everybody in.
    const isSettled = now === last;
    last = now;
    if (!isSettled || now === inForce) continue;
    inForce = now;
    try {
      onChange(await readAccess(config));
      logger.info({ file: accessFile }, "the access file was read again");
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      logger.warn({ err: error }, "the access file has changed but cannot be used; the old lists stay");
    }
  }
}

type FileLists = { readonly [Name in keyof AccessLists]-?: string[] };

/** Lines of `deny <peer id, address or prefix>` and `only <…>`; `#` begins a comment. */
function parseAccess(text: string, file: string): FileLists {
  const lists: FileLists = { denyPeers: [], denyAddresses: [], onlyPeers: [], onlyAddresses: [] };
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.replace(/#.*/, "").trim();
    if (line === "") continue;
    const [, verb, what = ""] = LINE.exec(line) ?? [];
    if (verb === undefined)
      throw new ConfigError("the access file", `${file}:${index + 1}`, "must say deny or only, and whom");
    const isAddress = /[.:]/.test(what);
    if (verb === "deny") lists[isAddress ? "denyAddresses" : "denyPeers"].push(what);
    else lists[isAddress ? "onlyAddresses" : "onlyPeers"].push(what);
  }
  return lists;
}

async function stampOf(file: string): Promise<string> {
  const facts = await stat(file).catch(() => undefined);
  return facts ? `${facts.mtimeMs} ${facts.size} ${facts.ino}` : "";
}

async function read(what: string, file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > MAX_FILE_BYTES) throw new ConfigError(what, file, `must have at most ${MAX_FILE_BYTES} bytes`);
    return await readFile(file, "utf8");
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(what, file, `must be a file that can be read: ${why}`, { cause });
  }
}
