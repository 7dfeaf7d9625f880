/**
 * The addresses of this machine: told to others as soon as they are there, and no longer when they are gone.
 *
 * Node tells nobody when an interface comes or goes, so they are looked at now and then; libp2p reads them anew
 * whenever it is asked, but tells its peers only when something makes it. Public addresses of an own interface are told
 * without anybody's confirmation, unless AutoNAT is there to give one; libp2p would not tell them at all.
 */
import type { Multiaddr } from "@multiformats/multiaddr";
import { abandonOnCancel, sleep } from "../../nursery/index.ts";
import { isRelayed, peerIdIn } from "../address.ts";
import type { Libp2pComponents, Mechanism, MechanismContext } from "../mechanism.ts";
import { natFinding } from "./nat.ts";

/** Longest time that a new address stays unknown to others. One look takes 50 microseconds. */
const LOOK_EVERY_MS = 2000;
/** How long libp2p believes a confirmed address; far longer than it takes to be looked at again. */
const CONFIRMED_MS = 600_000;

/**
 * Follows the addresses of this machine's interfaces.
 *
 * @param confirms - whether public ones are told without confirmation by others
 */
export function ownAddresses(confirms: boolean): Mechanism {
  let components: Libp2pComponents | undefined;
  const confirm = (): string => {
    const listening = components?.transportManager.getAddrs() ?? [];
    for (const address of listening)
      if (confirms && !isRelayed(address))
        components?.addressManager.confirmObservedAddr(address, { type: "transport", ttl: CONFIRMED_MS });
    return listening.map(String).toSorted().join(" ");
  };
  return {
    name: "own-addresses",
    services: {
      ownAddresses: (given) => {
        components = given;
        return {};
      },
    },
    async examine() {
      return components ? [natFinding(components.addressManager.getAddressesWithMetadata(), !confirms)] : [];
    },
    serve(context) {
      context.nursery.startSoon(() => follow(confirm, context), "follow the addresses of this machine");
    },
  };
}

async function follow(confirm: () => string, context: MechanismContext): Promise<never> {
  const { logger } = context;
  let before = confirm();
  await refreshAddresses(context);
  for (;;) {
    await sleep(LOOK_EVERY_MS);
    const now = confirm();
    if (now === before) continue;
    logger.info({ before: before.split(" "), now: now.split(" ") }, "the addresses of this machine changed");
    before = now;
    await refreshAddresses(context);
  }
}

/** Makes libp2p tell its peers, and whoever listens, what the addresses of this node are now. */
export async function refreshAddresses({ libp2p }: Pick<MechanismContext, "libp2p">): Promise<void> {
  const own = libp2p.peerId.toString();
  const multiaddrs = libp2p.getMultiaddrs().map((address) => withoutId(address, own));
  await abandonOnCancel(Promise.resolve(libp2p.peerStore.patch(libp2p.peerId, { multiaddrs })));
}

function withoutId(address: Multiaddr, own: string): Multiaddr {
  return peerIdIn(address) === own ? address.decapsulate(`/p2p/${own}`) : address;
}
