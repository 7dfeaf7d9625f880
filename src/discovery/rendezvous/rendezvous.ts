/**
 * Finding nodes by rendezvous nodes, and being one: `/rendezvous/1.0.0` (github.com/libp2p/specs, rendezvous).
 *
 * No kept package offers it for libp2p 3.
 */
import { isCancelled, openNursery, rethrowIfCancelled, sleep, TimeoutError } from "../../nursery/index.ts";
import { type Mechanism, type MechanismContext, parseMultiaddr } from "../../p2p/index.ts";
import type { Discovery, PeerHint } from "../../peer/discovery.ts";
import { ConfigError } from "../../errors.ts";
import { Directory } from "./directory.ts";
import { REQUEST_MS, type RendezvousLimits } from "./limits.ts";
import { hintsIn, keepInOwnList } from "./own-list.ts";
import { RendezvousPoint } from "./point.ts";
import { examinePoints } from "./examine.ts";
import { keepRegistered } from "./registrar.ts";
import type { Registrations } from "./registrations.ts";
import { serveRendezvous } from "./server.ts";

/** Once one rendezvous node has answered, the others have this long to answer too. */
const OTHERS_MS = 300;

/** What a node may be told about rendezvous. */
export interface RendezvousOptions {
  /** Multiaddrs of rendezvous nodes. */
  readonly points: readonly string[];
  readonly namespace: string;
  /** Whether this node is one. */
  readonly server: boolean;
  /** Whether records without a signature are dealt with. */
  readonly unsigned: boolean;
  readonly limits?: Partial<RendezvousLimits> | undefined;
}

/** The mechanism. @throws ConfigError if a point is no multiaddr */
export function rendezvous(options: RendezvousOptions): Mechanism {
  const addresses = options.points.map((text) => {
    try {
      return parseMultiaddr(text);
    } catch (cause) {
      throw new ConfigError("rendezvous", text, "must be a multiaddr", { cause });
    }
  });
  return {
    name: "rendezvous",
    async open(context) {
      const own = options.server ? await serveRendezvous(context, options) : undefined;
      const points = addresses.map((address) => new RendezvousPoint(address, context));
      return createDiscovery(points, own, context, options);
    },
  };
}

function createDiscovery(
  points: readonly RendezvousPoint[],
  own: Registrations | undefined,
  context: MechanismContext,
  { namespace, unsigned }: RendezvousOptions,
): Discovery {
  const { clock, logger, nursery } = context;
  const ownPeerId = context.libp2p.peerId.toString();
  const places = points.map((point) => ({
    point,
    directory: new Directory(point, { namespace, unsigned, clock, logger }),
  }));

  /** Asks all, and waits for the first answer and a little for the others. */
  const refreshAll = async (): Promise<void> => {
    let pending = places.length;
    await openNursery(async (all) => {
      const ask = async ({ point, directory }: (typeof places)[number]): Promise<void> => {
        try {
          await directory.refresh();
          all.startSoon(async () => {
            await sleep(OTHERS_MS);
            all.cancel("the others take too long");
          });
        } catch (error) {
          rethrowIfCancelled(error);
          logger.debug({ server: point.address.toString(), err: error }, "a rendezvous node did not answer");
        }
        pending -= 1;
        if (pending === 0) all.cancel("all have answered");
      };
      for (const place of places) all.startSoon(() => ask(place));
    });
  };

  return {
    name: "rendezvous",
    async find(peerId, signal) {
      try {
        if (places.length > 0)
          await nursery.run(refreshAll, { timeoutMs: REQUEST_MS, signal }, "ask rendezvous nodes");
      } catch (error) {
        // Whoever waits no longer gets what is known by now.
        if (!isCancelled(error) && !(error instanceof TimeoutError)) throw error;
      }
      const listed = own ? await hintsIn(own, namespace) : [];
      return merge([...listed, ...places.flatMap(({ directory }) => directory.hints())]).filter((hint) =>
        peerId === undefined ? hint.peerId !== ownPeerId : hint.peerId === peerId,
      );
    },
    examine: () => examinePoints(points, namespace, clock),
    async advertise(self) {
      await openNursery(async (all) => {
        if (own) all.startSoon(() => keepInOwnList(own, namespace, self, context));
        for (const { point, directory } of places) {
          const onLost = (): void => directory.restart();
          all.startSoon(() => keepRegistered(point, self, { context, namespace, unsigned, onLost }));
        }
      });
    },
  };
}

/** One hint for each peer, with the addresses that all servers have. */
function merge(hints: readonly PeerHint[]): readonly PeerHint[] {
  const merged = new Map<string | undefined, PeerHint>();
  for (const hint of hints) {
    const known = merged.get(hint.peerId)?.multiaddrs ?? [];
    merged.set(hint.peerId, { ...hint, multiaddrs: [...new Set([...known, ...hint.multiaddrs])] });
  }
  return [...merged.values()];
}
