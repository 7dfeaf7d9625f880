/**
 * Nodes of one machine find each other through small files: each writes where it is, and reads what others wrote.
 *
 * `peer_id` and `multiaddr` are the seed's format, so old nodes read our files and we read theirs. What we add lets a
 * reader see that the writer has ended: pid and start time, which mean something on the writer's machine only.
 */
import * as z from "zod";
import { ConfigError } from "../errors.ts";
import { parseMultiaddr, peerIdIn } from "../p2p/index.ts";
import type { Discovery, PeerHint } from "../peer/discovery.ts";
import { parseJson, readSmallFile, removeIfStill, replaceFile } from "./files.ts";
import { hasEnded, thisWriter, type Writer, writerFields } from "./writer.ts";
import { examineAnnounce } from "./examine-announce.ts";

/** More addresses of one peer than this are not dialled. */
const MAX_ADDRESSES = 16;

/** What an announce file holds. Old nodes write the first two fields only. */
export interface Announcement extends Writer {
  readonly peer_id: string;
  /** The best address, ending in `/p2p/<peer id>`. */
  readonly multiaddr: string;
  /** All addresses, best first. */
  readonly multiaddrs?: readonly string[] | undefined;
  /** Where the same node serves MCP over HTTP. */
  readonly mcp_url?: string | undefined;
  /** The process that has the node's data folder, if it is not the writer. */
  readonly node_pid?: number | undefined;
}

const announcementSchema: z.ZodType<Announcement> = z.object({
  peer_id: z.string().min(1),
  multiaddr: z.string().min(1),
  multiaddrs: z.array(z.string()).optional().catch(undefined),
  ...writerFields,
  mcp_url: z.string().optional(),
  node_pid: z.int().positive().optional().catch(undefined),
});

/** What a node tells about itself. */
export interface AnnounceFacts {
  readonly peerId: string;
  /** Best first, each ending in `/p2p/<peer id>`; at least one. */
  readonly multiaddrs: readonly string[];
  readonly mcpUrl?: string | undefined;
  /** Default: the writer has the node's data folder itself. */
  readonly nodePid?: number | undefined;
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
    ...thisWriter(),
    mcp_url: facts.mcpUrl,
    node_pid: facts.nodePid,
  };
  const text = `${JSON.stringify(announcement)}\n`;
  try {
    await replaceFile(file, text);
  } catch (cause) {
    throw new ConfigError("the announce file", file, "cannot be written", { cause });
  }
  return {
    file,
    remove: () => removeIfStill(file, text),
  };
}

/** The announcement in `file`, if there is one and its writer, as far as one can tell, still runs. */
export async function readAnnounce(file: string): Promise<Announcement | undefined> {
  const parsed = announcementSchema.safeParse(parseJson(await readSmallFile(file)));
  return parsed.success && !hasEnded(parsed.data) ? parsed.data : undefined;
}

/** A discovery that reads announce files; what cannot be read, is damaged or stale is passed over. */
export function announceFileDiscovery(files: readonly string[]): Discovery {
  return {
    name: "announce-file",
    trust: "owner",
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
  return [...new Set([multiaddr, ...multiaddrs])]
    .filter((text) => {
      try {
        const named = peerIdIn(parseMultiaddr(text));
        return named === undefined || named === peer_id;
      } catch {
        // Files come from other programs too; one bad address must not hide the good ones.
        return false;
      }
    })
    .slice(0, MAX_ADDRESSES);
}
