/** Keeps this node connected to the nodes by which it entered the DHT, so that it enters again when it was cut off. */
import type { PeerId } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { abortable, failAfter, openNursery, pauseAfter, rethrowIfCancelled } from "../../nursery/index.ts";
import type { MechanismContext } from "../../p2p/index.ts";
import { Alarm } from "../pause.ts";

/** How long one address may take. */
const DIAL_MS = 10_000;
/** Pauses between attempts: the longest brings a node back within 15 s of the other's return. */
const RETRY = { baseMs: 500, maxMs: 8000 };

/** What staying in needs. */
export interface EntryOptions {
  readonly context: MechanismContext;
  readonly bootstrap: readonly Multiaddr[];
  /** How many of them are enough to be connected to. */
  readonly enough: number;
  /** Called whenever one was connected. */
  readonly onEntered: () => void;
}

/** Connects to the bootstrap nodes, and again when they are lost. Ends by cancellation only. */
export async function stayEntered({ context, bootstrap, enough, onEntered }: EntryOptions): Promise<void> {
  const { libp2p, clock, logger } = context;
  const alarm = new Alarm(clock);
  /** Whom each address led to. */
  const found = new Map<Multiaddr, string>();
  const isConnected = (address: Multiaddr): boolean => {
    const id = found.get(address);
    return id !== undefined && libp2p.getPeers().some((peer) => peer.toString() === id);
  };
  const connect = async (address: Multiaddr): Promise<void> => {
    try {
      const connection = await failAfter(DIAL_MS, () =>
        abortable((signal) => libp2p.dial(address, { signal })),
      );
      found.set(address, connection.remotePeer.toString());
      onEntered();
    } catch (error) {
      rethrowIfCancelled(error);
      logger.debug({ address: address.toString(), err: error }, "a bootstrap node of the DHT is not reached");
    }
  };
  const onDisconnect = ({ detail }: CustomEvent<PeerId>): void => {
    if ([...found.values()].includes(detail.toString())) alarm.wake();
  };

  libp2p.addEventListener("peer:disconnect", onDisconnect);
  try {
    for (let failures = 0; ;) {
      const missing = bootstrap.filter((address) => !isConnected(address));
      if (bootstrap.length - missing.length < enough) {
        await openNursery(async (all) => {
          for (const address of missing) all.startSoon(() => connect(address));
        });
      }
      const connected = bootstrap.filter(isConnected).length;
      failures = connected >= enough ? 0 : failures + 1;
      if (failures === 1 && connected === 0) logger.warn({}, "no bootstrap node of the DHT is reached");
      await alarm.wait(failures === 0 ? Infinity : pauseAfter(failures, RETRY));
    }
  } finally {
    libp2p.removeEventListener("peer:disconnect", onDisconnect);
  }
}
