/** Asks the discoveries who is there. */
import type { Logger } from "../logger.ts";
import { abortable, moveOnAfter, openNursery, rethrowIfCancelled } from "../nursery/index.ts";
import type { Discovery } from "../peer/discovery.ts";
import type { Peer } from "../peer/peer.ts";
import type { PeerTable } from "../peer/table.ts";
import { believed } from "./hearsay.ts";
import { parseMultiaddr, peerIdIn } from "./address.ts";

/** What to look for. */
export interface PeerSearch {
  /** Names of the discoveries to ask. Absent: all. */
  readonly methods?: readonly string[] | undefined;
  /** How long to look; what was found by then is the answer. */
  readonly timeoutMs: number;
  /** How many peers are enough. */
  readonly limit: number;
}

/** What finding needs. */
export interface FindOptions {
  readonly discoveries: readonly Discovery[];
  readonly table: PeerTable;
  readonly logger: Logger;
  readonly ownPeerId: string;
}

/**
 * Peers that the discoveries name; those that are connected first. Dials nobody. A peer that merely connected here is
 * not among them: nobody but itself said that it belongs to us.
 */
export async function findPeers(search: PeerSearch, options: FindOptions): Promise<readonly Peer[]> {
  const { discoveries, table, logger, ownPeerId } = options;
  const asked = discoveries.filter(({ name }) => search.methods?.includes(name) ?? true);
  const found = new Set<string>();

  const ask = async (discovery: Discovery): Promise<void> => {
    try {
      const hints = await abortable((signal) => discovery.find(undefined, signal));
      for (const { peerId, multiaddrs: named, method } of hints) {
        const multiaddrs = believed(named, discovery.trust);
        const id = peerId ?? idOf(multiaddrs[0]);
        if (id === undefined || id === ownPeerId) continue;
        table.heard(id, { multiaddrs, method, seen: false });
        found.add(id);
      }
    } catch (error) {
      rethrowIfCancelled(error);
      logger.warn({ discovery: discovery.name, err: error }, "a discovery failed");
    }
  };
  await moveOnAfter(search.timeoutMs, () =>
    openNursery(async (nursery) => {
      for (const discovery of asked) nursery.startSoon(() => ask(discovery));
    }),
  );

  const wanted = table.list().filter(({ peerId }) => found.has(peerId));
  return wanted.toSorted((a, b) => Number(b.connected) - Number(a.connected)).slice(0, search.limit);
}

function idOf(multiaddr: string | undefined): string | undefined {
  try {
    return multiaddr === undefined ? undefined : peerIdIn(parseMultiaddr(multiaddr));
  } catch {
    // A hint may hold anything; one that names nobody must not hide the others.
    return undefined;
  }
}
