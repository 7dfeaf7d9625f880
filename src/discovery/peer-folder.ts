/**
 * Nodes find each other through a folder in which each keeps one file about itself, as the seed's bootstrap helper did.
 *
 * The fields are the seed's (contract.md 5.2), so old programs read our files and we read theirs. What was wrong there
 * is not repeated (D-44): the folder is private, nothing falls back to a folder that others can write, names of files
 * are made of safe characters, and a reader deletes nothing. A file counts for a while after it was written; a node
 * that runs writes its own again in time and removes it at its end.
 */
import { mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { type Clock, systemClock } from "../clock.ts";
import { ConfigError, errorFacts } from "../errors.ts";
import { type Logger, silentLogger } from "../logger.ts";
import { dialable, endpointOf } from "../p2p/index.ts";
import type { Discovery, PeerHint, SelfDescription } from "../peer/discovery.ts";
import { type Finding, fine, note, problem } from "../peer/finding.ts";
import { parseJson, readSmallFile, removeIfStill, replaceFile } from "./files.ts";
import { Wakeup } from "./wakeup.ts";
import { hasEnded, thisWriter, type Writer, writerFields } from "./writer.ts";

/** How long a file counts, in milliseconds: the seed's half hour. */
export const PEER_FILE_TTL_MS = 1_800_000;

/** A file is written this often within its time, so that two failures do not make a node vanish. */
const WRITES_PER_TTL = 3;
/** After a failure, e.g. of a full disk, it is written again this soon. */
const RETRY_MS = 10_000;
/** A file from further ahead than clocks of one machine differ would never run out. */
const MAX_AHEAD_MS = 300_000;
/** More files are a mistake, and reading them all would keep a call waiting. */
const MAX_FILES = 1024;
/** More peers than anybody dials at once. */
const MAX_HINTS = 64;
const OWNER_ONLY = 0o700;
/** Write permission of the group and of everybody. */
const WRITABLE_BY_OTHERS = 0o022;
const FILE_NAME = /^peer_[\w.-]+\.json$/;

/** What a file holds; the seed's fields in its order. */
export interface PeerFile {
  readonly peer_id: string;
  /** A label; the peer id, where the seed had the name of a machine. */
  readonly runner_name: string;
  /** The first public address, if there is one. */
  readonly public_ip: string | null;
  readonly listen_port: number;
  /** The best address. */
  readonly multiaddr: string;
  /** UTC as Python writes it, without a zone. */
  readonly last_seen: string;
  /** From our nodes: `multiaddrs`, all addresses, best first, and the process that wrote it. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

const peerFile: z.ZodType<PeerFile> = z.object({
  peer_id: z.string().min(1),
  runner_name: z.string().catch(""),
  public_ip: z.string().nullable().catch(null),
  listen_port: z.number().catch(0),
  multiaddr: z.string().min(1),
  last_seen: z.string(),
  metadata: z.record(z.string(), z.unknown()).catch({}),
});
const addressesSchema: z.ZodType<readonly string[]> = z.array(z.string()).catch([]);
const writerSchema: z.ZodType<Writer> = z.object(writerFields).catch({
  pid: undefined,
  host: undefined,
  started_at: undefined,
});

/** What keeping a file needs. */
interface Keeping {
  readonly folder: string;
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Where and how the files are kept. */
export interface PeerFolderOptions {
  /** Made, readable by its owner only, when this node writes its file. */
  readonly folder: string;
  /** How long a file counts. Default: {@link PEER_FILE_TTL_MS}. */
  readonly ttlMs?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
}

/** A discovery that keeps a file about this node in the folder, and reads those of the others. */
export function peerFolderDiscovery(options: PeerFolderOptions): Discovery {
  const { folder, ttlMs = PEER_FILE_TTL_MS, clock = systemClock, logger = silentLogger } = options;
  let ownPeerId: string | undefined;
  return {
    name: "peer-folder",
    trust: "owner",
    async find(wanted, signal) {
      const hints: PeerHint[] = [];
      for (const file of await readPeerFiles(folder, { nowMs: clock.epochMs(), ttlMs, signal })) {
        const peerId = file.peer_id;
        if (peerId === ownPeerId || (wanted !== undefined && peerId !== wanted)) continue;
        const multiaddrs = addressesOf(file);
        if (multiaddrs.length > 0 && hints.length < MAX_HINTS)
          hints.push({ peerId, multiaddrs, method: "peer-folder" });
      }
      return hints;
    },
    async examine(signal) {
      const facts = { nowMs: clock.epochMs(), ttlMs, signal };
      return [await examineFolder(folder, facts, ownPeerId)];
    },
    async advertise(self) {
      ownPeerId = self.peerId;
      await keepFile(self, { folder, ttlMs, clock, logger });
    },
  };
}

/** The file that is written about a node. @returns undefined while it is reached nowhere */
export function peerFileOf(self: SelfDescription, epochMs: number): PeerFile | undefined {
  const multiaddrs = self.multiaddrs();
  const [multiaddr] = multiaddrs;
  if (multiaddr === undefined) return undefined;
  const endpoints = multiaddrs.map(endpointOf);
  return {
    peer_id: self.peerId,
    runner_name: self.peerId,
    public_ip: endpoints.find(({ scope }) => scope === "public")?.host ?? null,
    listen_port: endpoints[0]?.tcpPort ?? 0,
    multiaddr,
    last_seen: pythonUtc(epochMs),
    metadata: { multiaddrs, ...thisWriter() },
  };
}

/** The text of a file, laid out as the seed's. */
export function peerFileText(file: PeerFile): string {
  return JSON.stringify(file, undefined, 2);
}

/** The name of the file of a runner, whatever its name is made of. */
export function peerFileName(runnerName: string): string {
  return `peer_${runnerName.replaceAll(/[^\w.-]/g, "_").slice(0, 128)}.json`;
}

/**
 * All files that count now, the newest first. Those that are broken or have run out are passed over and left alone.
 *
 * @throws ConfigError if others may write into the folder
 */
export async function readPeerFiles(
  folder: string,
  { nowMs, ttlMs, signal }: { readonly nowMs: number; readonly ttlMs: number; readonly signal: AbortSignal },
): Promise<readonly PeerFile[]> {
  if (!(await isPrivate(folder))) return [];
  const names = (await readdir(folder)).filter((name) => FILE_NAME.test(name)).slice(0, MAX_FILES);
  const files: { readonly file: PeerFile; readonly seenAtMs: number }[] = [];
  for (const name of names) {
    signal.throwIfAborted();
    const parsed = peerFile.safeParse(parseJson(await readSmallFile(join(folder, name))));
    if (!parsed.success || hasEnded(writerSchema.parse(parsed.data.metadata))) continue;
    const seenAtMs = epochOf(parsed.data.last_seen);
    const ageMs = nowMs - seenAtMs;
    if (ageMs < ttlMs && ageMs > -MAX_AHEAD_MS) files.push({ file: parsed.data, seenAtMs });
  }
  return files.toSorted((a, b) => b.seenAtMs - a.seenAtMs).map(({ file }) => file);
}

/** Whether the folder is there and private, and whether this node's own file is in it. */
async function examineFolder(
  folder: string,
  facts: Parameters<typeof readPeerFiles>[1],
  ownPeerId: string | undefined,
): Promise<Finding> {
  try {
    if (!(await isPrivate(folder)))
      return note("peer-folder-missing", `peer-folder: ${folder} is not there`, `mkdir -m 700 '${folder}'`);
    const files = await readPeerFiles(folder, facts);
    const own = files.some(({ peer_id: peerId }) => peerId === ownPeerId);
    const what = `peer-folder: ${folder} holds ${files.length} files that count`;
    if (own) return fine("peer-folder", `${what}, this node's among them`);
    return problem(
      "peer-folder-not-written",
      `${what}, but not this node's`,
      `ls -ld '${folder}'; df '${folder}'`,
    );
  } catch (error) {
    facts.signal.throwIfAborted();
    const { message } = errorFacts(error);
    return problem("peer-folder-unusable", `peer-folder: ${message}`, `chmod 700 '${folder}'`);
  }
}

async function keepFile(self: SelfDescription, { folder, ttlMs, clock, logger }: Keeping): Promise<void> {
  const path = join(folder, peerFileName(self.peerId));
  const changes = new Wakeup();
  const off = self.onChange(() => changes.wake());
  let written: string | undefined;
  const write = async (): Promise<void> => {
    const file = peerFileOf(self, clock.epochMs());
    if (!file && written !== undefined) await removeIfStill(path, written);
    written = file && (await writePeerFile(folder, path, peerFileText(file)));
  };
  try {
    for (;;) {
      const pauseMs = await write().then(
        () => ttlMs / WRITES_PER_TTL,
        (error: unknown) => {
          if (error instanceof ConfigError) throw error;
          logger.warn({ file: path, err: error }, "the file about this node cannot be written; trying again");
          return Math.min(RETRY_MS, ttlMs / WRITES_PER_TTL);
        },
      );
      await changes.wait(pauseMs);
    }
  } finally {
    off();
    if (written !== undefined) await removeIfStill(path, written);
  }
}

async function writePeerFile(folder: string, path: string, text: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: OWNER_ONLY });
  await isPrivate(folder);
  await replaceFile(path, text);
  return text;
}

/** Whether the folder is there. @throws ConfigError if somebody else could write into it */
async function isPrivate(folder: string): Promise<boolean> {
  try {
    const { mode, uid } = await stat(folder);
    const own = process.getuid?.() ?? uid;
    if (uid === own && (mode & WRITABLE_BY_OTHERS) === 0) return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
  throw new ConfigError("the folder of peers", folder, "must belong to you and be writable by nobody else");
}

function addressesOf({ peer_id, multiaddr, metadata }: PeerFile): readonly string[] {
  const all = [multiaddr, ...addressesSchema.parse(metadata["multiaddrs"])];
  return [...new Set(all)].flatMap((text) => dialable(text, peer_id, { loopback: true }) ?? []);
}

/** UTC without a zone and with microseconds, as Python's `datetime.isoformat` writes it. */
function pythonUtc(epochMs: number): string {
  const seconds = new Date(epochMs).toISOString().slice(0, 19);
  const micros = Math.floor((epochMs % 1000) * 1000);
  return micros === 0 ? seconds : `${seconds}.${String(micros).padStart(6, "0")}`;
}

/** Milliseconds since 1970 of an ISO 8601 instant; one without a zone is UTC. NaN if it is none. */
function epochOf(text: string): number {
  return Date.parse(/([zZ]|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
}
