/**
 * Nodes of one machine find each other through small files: each writes where it is, and reads what others wrote.
 *
 * `peer_id` and `multiaddr` are the seed's format, so old nodes read our files and we read theirs. What we add lets a
 * reader see that the writer has ended: pid and start time, which mean something on the writer's machine only.
 */
import { randomUUID } from "node:crypto";
import { open, readFile, rename, stat, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import * as z from "zod";
import { ConfigError } from "../errors.ts";
import { parseMultiaddr, peerIdIn } from "../p2p/index.ts";
import type { Discovery, PeerHint } from "../peer/discovery.ts";
import { examineAnnounce } from "./examine-announce.ts";
import { isSameProcess, processStartTime } from "../process.ts";

/** The file of a node with every address it can have is a few kilobytes; a larger one is another file. */
const MAX_FILE_BYTES = 64 * 1024;
/** The addresses say who is where on this machine; nobody else needs to know. */
const OWNER_ONLY = 0o600;

/** What an announce file holds. Old nodes write the first two fields only. */
export interface Announcement {
  readonly peer_id: string;
  /** The best address, ending in `/p2p/<peer id>`. */
  readonly multiaddr: string;
  /** All addresses, best first. */
  readonly multiaddrs?: readonly string[] | undefined;
  readonly pid?: number | undefined;
  /** The machine that `pid` belongs to. */
  readonly host?: string | undefined;
  /** When the process was started, see `processStartTime`; tells a pid that was given again. */
  readonly started_at?: string | undefined;
  /** Where the same node serves MCP over HTTP. */
  readonly mcp_url?: string | undefined;
}

const announcementSchema: z.ZodType<Announcement> = z.object({
  peer_id: z.string().min(1),
  multiaddr: z.string().min(1),
  multiaddrs: z.array(z.string()).optional().catch(undefined),
  pid: z.int().positive().optional(),
  host: z.string().optional(),
  started_at: z.string().optional(),
  mcp_url: z.string().optional(),
});

/** What a node tells about itself. */
export interface AnnounceFacts {
  readonly peerId: string;
  /** Best first, each ending in `/p2p/<peer id>`; at least one. */
  readonly multiaddrs: readonly string[];
  readonly mcpUrl?: string | undefined;
}

/** A file that was written. */
export interface AnnounceHandle {
  readonly file: string;
  /** Deletes the file, if it is still the one that was written. Idempotent. */
  remove(): Promise<void>;
}

/**
 * Writes an announce file so that a reader sees the old one, the new one, or none, but never half of one.
 *
 * @param file - its folder must exist; what is there is replaced
 * @throws TypeError without an address; ConfigError if the file cannot be written
 */
export async function writeAnnounce(file: string, facts: AnnounceFacts): Promise<AnnounceHandle> {
  const [multiaddr] = facts.multiaddrs;
  if (multiaddr === undefined) throw new TypeError("a node without an address cannot be announced");
  const announcement: Announcement = {
    peer_id: facts.peerId,
    multiaddr,
    multiaddrs: facts.multiaddrs,
    pid: process.pid,
    host: hostname(),
    started_at: processStartTime(process.pid),
    mcp_url: facts.mcpUrl,
  };
  const text = `${JSON.stringify(announcement)}\n`;
  try {
    await replaceFile(file, text);
  } catch (cause) {
    throw new ConfigError("the announce file", file, "cannot be written", { cause });
  }
  return {
    file,
    async remove() {
      // Another node may have written its own since; that one stays.
      if ((await readText(file)) !== text) return;
      await unlink(file).catch(ignoreMissing);
    },
  };
}

/** The announcement in `file`, if there is one and its writer, as far as one can tell, still runs. */
export async function readAnnounce(file: string): Promise<Announcement | undefined> {
  const text = await readText(file);
  const parsed = announcementSchema.safeParse(text === undefined ? undefined : parseJson(text));
  return parsed.success && !isStale(parsed.data) ? parsed.data : undefined;
}

/** A discovery that reads announce files; what cannot be read, is damaged or stale is passed over. */
export function announceFileDiscovery(files: readonly string[]): Discovery {
  return {
    name: "announce-file",
    async find(peerId, signal) {
      const hints: PeerHint[] = [];
      for (const file of files) {
        signal.throwIfAborted();
        const announcement = await readAnnounce(file);
        if (!announcement || (peerId !== undefined && announcement.peer_id !== peerId)) continue;
        const multiaddrs = addressesOf(announcement);
        if (multiaddrs.length > 0)
          hints.push({ peerId: announcement.peer_id, multiaddrs, method: "announce-file" });
      }
      return hints;
    },
    async examine() {
      return (await Promise.all(files.map(examineAnnounce))).flat();
    },
  };
}

/** The addresses that can be read and do not name another peer. */
function addressesOf({ peer_id, multiaddr, multiaddrs = [] }: Announcement): string[] {
  return [...new Set([multiaddr, ...multiaddrs])].filter((text) => {
    try {
      const named = peerIdIn(parseMultiaddr(text));
      return named === undefined || named === peer_id;
    } catch {
      // Files come from other programs too; one bad address must not hide the good ones.
      return false;
    }
  });
}

function isStale({ pid, host, started_at }: Announcement): boolean {
  if (pid === undefined || host !== hostname()) return false;
  return !isSameProcess(pid, started_at);
}

async function replaceFile(file: string, text: string): Promise<void> {
  // In the same folder, because a rename is only atomic inside one file system.
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    const handle = await open(temporary, "wx", OWNER_ONLY);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await unlink(temporary).catch(ignoreMissing);
    throw error;
  }
}

async function readText(file: string): Promise<string | undefined> {
  try {
    const { size } = await stat(file);
    return size > MAX_FILE_BYTES ? undefined : await readFile(file, "utf8");
  } catch (error) {
    // Not there, not ours to read, a folder: for finding peers all of it means that nobody is announced here.
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Half a file of a program that does not write atomically: as good as none.
    return undefined;
  }
}

function ignoreMissing(error: unknown): void {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
  throw error;
}
