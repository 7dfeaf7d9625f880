/**
 * A libp2p node as this product needs it: TCP and WebSocket, Noise, Yamux, identify, ping, and limits for strangers.
 *
 * No mplex (five new streams a second), no plaintext, no TLS (fails with py-libp2p).
 */
import { identify, identifyPush } from "@libp2p/identify";
import type { PrivateKey } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { webSockets } from "@libp2p/websockets";
import { type Multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { nameAddress, parseMultiaddr } from "./address.ts";
import { guardedMuxer } from "./guarded-muxer.ts";
import type { Libp2pNode } from "./libp2p-node.ts";
import type { P2pLimits } from "./limits.ts";
import type { Mechanism } from "./mechanism.ts";
import type { Protection } from "./protection.ts";
import { singleDials } from "./single-dials.ts";
import { swarmKeyProtector } from "./swarm-key.ts";

/** libp2p's default of 32 parallel pings a connection is for benchmarks; one peer needs one or two. */
const MAX_PINGS = 4;

/**
 * libp2p's default is one question of identify at a time on a connection, and it resets a second one. py-libp2p asks by
 * itself after connecting, so that would be whatever its user asks then.
 */
const MAX_IDENTIFIES = 4;

/** What a node is made of. */
export interface NodeOptions {
  readonly privateKey: PrivateKey;
  readonly listen: readonly string[];
  readonly announce: readonly string[];
  readonly limits: P2pLimits;
  /** Absent: everybody is let in, and nothing is counted. */
  readonly protection?: Protection | undefined;
  /** The text of the swarm key. Absent: connections to and from any swarm. */
  readonly swarmKey?: string | undefined;
  /** What is added to it. */
  readonly mechanisms?: readonly Mechanism[] | undefined;
}

/** Starts a node. @throws what libp2p says when it cannot listen */
export async function startLibp2p({
  privateKey,
  listen,
  announce,
  limits,
  protection,
  swarmKey,
  mechanisms = [],
}: NodeOptions): Promise<Libp2pNode> {
  // The block list is an option of Node's servers that libp2p hands on, but does not name.
  const listenOpts = { noDelay: true, blockList: protection?.door };
  const ownPeerId = peerIdFromPrivateKey(privateKey).toString();
  return createLibp2p({
    privateKey,
    addresses: {
      listen: [...listen, ...mechanisms.flatMap((one) => one.listen ?? [])],
      // Not libp2p's own option: it would keep the addresses at relays from being told.
      announceFilter: (found) => toldAddresses(found, { announce, mechanisms, ownPeerId }),
    },
    transports: [tcp({ listenOpts }), webSockets(), ...mechanisms.flatMap((one) => one.transports ?? [])],
    connectionEncrypters: [noise()],
    streamMuxers: [protection?.muxer ?? guardedMuxer(limits)],
    ...(swarmKey === undefined ? {} : { connectionProtector: swarmKeyProtector(swarmKey) }),
    // The default refuses loopback and private addresses in some settings.
    connectionGater: Object.assign(
      { denyDialMultiaddr: () => false },
      protection?.gater,
      ...mechanisms.map((one) => one.gater),
    ),
    connectionManager: {
      maxConnections: limits.maxConnections,
      inboundConnectionThreshold: limits.connectionsPerSecond,
      maxIncomingPendingConnections: limits.maxPending,
      inboundUpgradeTimeout: limits.upgradeMs,
      inboundStreamProtocolNegotiationTimeout: limits.negotiateMs,
      maxParallelDials: limits.maxDials,
      addressDialTimeout: limits.addressDialMs,
      // None unless asked for: the default asks name servers, whatever the configuration says.
      resolvers: Object.assign({}, ...mechanisms.map((one) => one.resolvers)),
    },
    connectionMonitor: { pingInterval: limits.monitorMs },
    services: {
      ...Object.assign({}, ...mechanisms.map((one) => one.services)),
      identify: identify({ maxInboundStreams: MAX_IDENTIFIES }),
      // Tells those who are connected when the addresses of this node change.
      identifyPush: identifyPush(),
      dials: singleDials,
      ping: ping({ maxInboundStreams: MAX_PINGS, maxOutboundStreams: MAX_PINGS }),
    },
  });
}

/** What decides which addresses others are told. */
interface Told {
  readonly announce: readonly string[];
  readonly mechanisms: readonly Mechanism[];
  readonly ownPeerId: string;
}

/** The configured addresses, or else those found; and after them those that mechanisms bring, such as at relays. */
function toldAddresses(found: Multiaddr[], { announce, mechanisms, ownPeerId }: Told): Multiaddr[] {
  const configured = announce.map((text) => nameAddress(parseMultiaddr(text), ownPeerId));
  const brought = mechanisms.flatMap((one) => one.addresses?.() ?? []).map(parseMultiaddr);
  const all = [...(configured.length > 0 ? configured : found), ...brought];
  return [...new Map(all.map((address) => [address.toString(), address])).values()];
}
