/**
 * A libp2p node as this product needs it: TCP and WebSocket, Noise, Yamux, identify, ping, and limits for strangers.
 *
 * No mplex (five new streams a second), no plaintext, no TLS (fails with py-libp2p).
 */
import { identify } from "@libp2p/identify";
import type { PrivateKey } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { webSockets } from "@libp2p/websockets";
import { yamux } from "@libp2p/yamux";
import { createLibp2p } from "libp2p";
import type { Libp2pNode } from "./libp2p-node.ts";
import {
  ADDRESS_DIAL_MS,
  CONNECTIONS_PER_SECOND,
  MAX_EARLY_STREAMS,
  MAX_PENDING_CONNECTIONS,
  MONITOR_INTERVAL_MS,
  type P2pLimits,
  STREAM_WINDOW_BYTES,
  UPGRADE_TIMEOUT_MS,
} from "./limits.ts";
import type { Mechanism } from "./mechanism.ts";
import { singleDials } from "./single-dials.ts";

/** libp2p's default of 32 parallel pings a connection is for benchmarks; one peer needs one or two. */
const MAX_PINGS = 4;

/** What a node is made of. */
export interface NodeOptions {
  readonly privateKey: PrivateKey;
  readonly listen: readonly string[];
  readonly announce: readonly string[];
  readonly limits: P2pLimits;
  /** What is added to it. */
  readonly mechanisms?: readonly Mechanism[] | undefined;
}

/** Starts a node. @throws what libp2p says when it cannot listen */
export async function startLibp2p({
  privateKey,
  listen,
  announce,
  limits,
  mechanisms = [],
}: NodeOptions): Promise<Libp2pNode> {
  return createLibp2p({
    privateKey,
    addresses: {
      listen: [...listen, ...mechanisms.flatMap((one) => one.listen ?? [])],
      announce: [...announce],
    },
    transports: [tcp(), webSockets(), ...mechanisms.flatMap((one) => one.transports ?? [])],
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({
        maxEarlyStreams: MAX_EARLY_STREAMS,
        streamOptions: { maxStreamWindowSize: STREAM_WINDOW_BYTES },
      }),
    ],
    // The default refuses loopback and private addresses in some settings.
    connectionGater: { denyDialMultiaddr: () => false },
    connectionManager: {
      maxConnections: limits.maxConnections,
      inboundConnectionThreshold: CONNECTIONS_PER_SECOND,
      maxIncomingPendingConnections: MAX_PENDING_CONNECTIONS,
      inboundUpgradeTimeout: UPGRADE_TIMEOUT_MS,
      addressDialTimeout: ADDRESS_DIAL_MS,
    },
    connectionMonitor: { pingInterval: MONITOR_INTERVAL_MS },
    services: {
      ...Object.assign({}, ...mechanisms.map((one) => one.services)),
      identify: identify(),
      dials: singleDials,
      ping: ping({ maxInboundStreams: MAX_PINGS, maxOutboundStreams: MAX_PINGS }),
    },
  });
}
