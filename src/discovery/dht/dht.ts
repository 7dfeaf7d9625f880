/**
 * Finding nodes by a Kademlia DHT (github.com/libp2p/specs, kad-dht): each node provides the key of its namespace, and looks
 * for other providers of it.
 *
 * The private network is made of nodes of this product that are in it. The public one is that of IPFS; nothing about a
 * local network is told there.
 */
import type { PeerInfo } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { type KadDHT, kadDHT, passthroughMapper } from "@libp2p/kad-dht";
import { ConfigError } from "../../errors.ts";
import {
  isPublicAddress,
  isRelayed,
  type Mechanism,
  type MechanismContext,
  parseMultiaddr,
} from "../../p2p/index.ts";
import { PUBLIC_BOOTSTRAP } from "../public-bootstrap.ts";
import { stayEntered } from "./entry.ts";
import { guardComponents } from "./guarded-components.ts";
import { keyOf, oldKeyOf } from "./keys.ts";
import { createDhtDiscovery } from "./discovery.ts";

/** The DHT of nodes of this product. */
export const PRIVATE_DHT_PROTOCOL = "/mcplusplus/kad/1.0.0";
/** The public DHT of IPFS. */
export const PUBLIC_DHT_PROTOCOL = "/ipfs/kad/1.0.0";

/** Shortly after the start the DHT learns its neighbourhood; the default of a second delays the first find by it. */
const FIRST_SELF_QUERY_MS = 100;

/** Nodes that are asked at once, as Kademlia has it; the default of ten asks a small network whole at each look. */
const ASKED_AT_ONCE = 3;

/** What a node may be told about the DHT. */
export interface DhtOptions {
  readonly network: "private" | "public";
  /** Whether it answers questions; `auto`: where others can reach this node. */
  readonly mode: "auto" | "server" | "client";
  /** Multiaddrs by which to enter; for the public network, none means those of libp2p. */
  readonly bootstrap: readonly string[];
  readonly namespace: string;
}

/** The mechanism. @throws ConfigError if a bootstrap address is no multiaddr */
export function dht({ network, mode, bootstrap, namespace }: DhtOptions): Mechanism {
  const isPublic = network === "public";
  const protocol = isPublic ? PUBLIC_DHT_PROTOCOL : PRIVATE_DHT_PROTOCOL;
  const entries = isPublic && bootstrap.length === 0 ? PUBLIC_BOOTSTRAP : bootstrap;
  const addresses = entries.map(parseBootstrap);
  const mayTell = (address: Multiaddr): boolean => !isPublic || isPublicAddress(address);
  const opened: { service?: KadDHT } = {};

  return {
    name: "dht",
    services: {
      dht: (components) => {
        opened.service = kadDHT({
          protocol,
          clientMode: mode !== "server",
          peerInfoMapper: isPublic ? removePrivateAddresses : passthroughMapper,
          initialQuerySelfInterval: FIRST_SELF_QUERY_MS,
          alpha: ASKED_AT_ONCE,
        })(guardComponents(components, mayTell));
        return opened.service;
      },
    },
    async open(context) {
      const { service } = opened;
      if (!service) throw new TypeError("libp2p did not open the DHT");
      if (mode === "auto") await followReachability(service, context, mayTell);
      const key = await keyOf(namespace);
      const oldKey = isPublic ? oldKeyOf(namespace) : undefined;
      const { discovery, entered } = createDhtDiscovery({
        dht: service,
        context,
        protocol,
        key,
        oldKey,
        entries: addresses.length,
        isPublic,
        mayTell,
      });
      const enough = isPublic ? 1 : addresses.length;
      if (addresses.length > 0) {
        context.nursery.startSoon(
          () => stayEntered({ context, bootstrap: addresses, enough, onEntered: entered }),
          "stay in the DHT",
        );
      }
      return discovery;
    },
  };
}

/** Answers questions of the DHT as long as this node has an address at which the others can reach it directly. */
async function followReachability(
  service: KadDHT,
  { libp2p, nursery, logger }: MechanismContext,
  mayTell: (address: Multiaddr) => boolean,
): Promise<void> {
  const update = async (): Promise<void> => {
    const reachable = libp2p.getMultiaddrs().some((address) => mayTell(address) && !isRelayed(address));
    await service.setMode(reachable ? "server" : "client");
  };
  await update();
  libp2p.addEventListener("self:peer:update", () => {
    nursery.run(update).catch((error: unknown) => {
      logger.debug({ err: error }, "the mode of the DHT could not be changed");
    });
  });
}

/** What the public DHT may be told of a peer. */
function removePrivateAddresses(peer: PeerInfo): PeerInfo {
  return { ...peer, multiaddrs: peer.multiaddrs.filter(isPublicAddress) };
}

function parseBootstrap(text: string): Multiaddr {
  try {
    return parseMultiaddr(text);
  } catch (cause) {
    throw new ConfigError("the DHT's bootstrap", text, "must be a multiaddr", { cause });
  }
}
