/** All limits of the peer-to-peer wire, with the reason for each: the data of `docs/reference/limits.md`. */
import { CONNECTION_LIMITS } from "./limits/connections.ts";
import { MESSAGE_LIMITS } from "./limits/messages.ts";
import type { Limit } from "./limits/limit.ts";
import { PEER_LIMITS } from "./limits/peers.ts";
import { REQUEST_LIMITS } from "./limits/requests.ts";
import { STREAM_LIMITS } from "./limits/streams.ts";

export type { Limit, LimitUnit } from "./limits/limit.ts";

/** A heading, and the limits under it. */
export interface LimitGroup {
  readonly title: string;
  readonly limits: Readonly<Record<string, Limit>>;
}

type Table = typeof MESSAGE_LIMITS &
  typeof REQUEST_LIMITS &
  typeof STREAM_LIMITS &
  typeof PEER_LIMITS &
  typeof CONNECTION_LIMITS;

/** What a host allows itself and others, by the names of the tables. */
export type P2pLimits = { readonly [Name in keyof Table]: number };

/** The name of a limit. */
export type P2pLimitName = keyof P2pLimits;

/** Every limit of a host: where it is from, how much it is, and why. */
export const P2P_LIMITS: { readonly [Name in P2pLimitName]: Limit } = {
  ...MESSAGE_LIMITS,
  ...REQUEST_LIMITS,
  ...STREAM_LIMITS,
  ...PEER_LIMITS,
  ...CONNECTION_LIMITS,
};

/** The same in the order in which they are shown. */
export const P2P_LIMIT_GROUPS: readonly LimitGroup[] = [
  { title: "Messages", limits: MESSAGE_LIMITS },
  { title: "Requests", limits: REQUEST_LIMITS },
  { title: "Streams", limits: STREAM_LIMITS },
  { title: "Peers", limits: PEER_LIMITS },
  { title: "Connections", limits: CONNECTION_LIMITS },
];

/** What holds unless a test or a configuration says otherwise. */
export const DEFAULT_P2P_LIMITS: P2pLimits = {
  maxFrameBytes: P2P_LIMITS.maxFrameBytes.value,
  strangerFrameBytes: P2P_LIMITS.strangerFrameBytes.value,
  maxJsonDepth: P2P_LIMITS.maxJsonDepth.value,
  frameMs: P2P_LIMITS.frameMs.value,
  frameBytesPerSecond: P2P_LIMITS.frameBytesPerSecond.value,
  highWaterBytes: P2P_LIMITS.highWaterBytes.value,
  maxUnsentBytes: P2P_LIMITS.maxUnsentBytes.value,
  messageBurst: P2P_LIMITS.messageBurst.value,
  messagesPerSecond: P2P_LIMITS.messagesPerSecond.value,
  strangerBurst: P2P_LIMITS.strangerBurst.value,
  strangerPerSecond: P2P_LIMITS.strangerPerSecond.value,
  maxInFlight: P2P_LIMITS.maxInFlight.value,
  maxWaiting: P2P_LIMITS.maxWaiting.value,
  maxServing: P2P_LIMITS.maxServing.value,
  strangerServing: P2P_LIMITS.strangerServing.value,
  maxCallMs: P2P_LIMITS.maxCallMs.value,
  connectMs: P2P_LIMITS.connectMs.value,
  silentMs: P2P_LIMITS.silentMs.value,
  probeMs: P2P_LIMITS.probeMs.value,
  challengeMs: P2P_LIMITS.challengeMs.value,
  maxProofs: P2P_LIMITS.maxProofs.value,
  maxStreams: P2P_LIMITS.maxStreams.value,
  streamBurst: P2P_LIMITS.streamBurst.value,
  streamsPerSecond: P2P_LIMITS.streamsPerSecond.value,
  maxMuxedStreams: P2P_LIMITS.maxMuxedStreams.value,
  maxEarlyStreams: P2P_LIMITS.maxEarlyStreams.value,
  strangerMuxedBurst: P2P_LIMITS.strangerMuxedBurst.value,
  strangerStreams: P2P_LIMITS.strangerStreams.value,
  strangerMuxedPerSecond: P2P_LIMITS.strangerMuxedPerSecond.value,
  muxedStreamBurst: P2P_LIMITS.muxedStreamBurst.value,
  muxedStreamsPerSecond: P2P_LIMITS.muxedStreamsPerSecond.value,
  negotiateMs: P2P_LIMITS.negotiateMs.value,
  streamWindowBytes: P2P_LIMITS.streamWindowBytes.value,
  idleMs: P2P_LIMITS.idleMs.value,
  sessionIdleMs: P2P_LIMITS.sessionIdleMs.value,
  closeMs: P2P_LIMITS.closeMs.value,
  sweepMs: P2P_LIMITS.sweepMs.value,
  peerBytesBurst: P2P_LIMITS.peerBytesBurst.value,
  peerBytesPerSecond: P2P_LIMITS.peerBytesPerSecond.value,
  turnBytes: P2P_LIMITS.turnBytes.value,
  strangerBytesBurst: P2P_LIMITS.strangerBytesBurst.value,
  strangerBytesPerSecond: P2P_LIMITS.strangerBytesPerSecond.value,
  maxBegun: P2P_LIMITS.maxBegun.value,
  maxHeldBytes: P2P_LIMITS.maxHeldBytes.value,
  maxPeerUnsentBytes: P2P_LIMITS.maxPeerUnsentBytes.value,
  strangerUnsentBytes: P2P_LIMITS.strangerUnsentBytes.value,
  maxStrikes: P2P_LIMITS.maxStrikes.value,
  strikesPerMinute: P2P_LIMITS.strikesPerMinute.value,
  keepOutMs: P2P_LIMITS.keepOutMs.value,
  logWindowMs: P2P_LIMITS.logWindowMs.value,
  logBurst: P2P_LIMITS.logBurst.value,
  logPerMinute: P2P_LIMITS.logPerMinute.value,
  maxRememberedPeers: P2P_LIMITS.maxRememberedPeers.value,
  rememberMs: P2P_LIMITS.rememberMs.value,
  maxConnections: P2P_LIMITS.maxConnections.value,
  maxPeerConnections: P2P_LIMITS.maxPeerConnections.value,
  maxAddressConnections: P2P_LIMITS.maxAddressConnections.value,
  addressBurst: P2P_LIMITS.addressBurst.value,
  addressPerSecond: P2P_LIMITS.addressPerSecond.value,
  connectionsPerSecond: P2P_LIMITS.connectionsPerSecond.value,
  maxPending: P2P_LIMITS.maxPending.value,
  maxAddressPending: P2P_LIMITS.maxAddressPending.value,
  upgradeMs: P2P_LIMITS.upgradeMs.value,
  maxDials: P2P_LIMITS.maxDials.value,
  addressDialMs: P2P_LIMITS.addressDialMs.value,
  hearsayBurst: P2P_LIMITS.hearsayBurst.value,
  hearsayPerSecond: P2P_LIMITS.hearsayPerSecond.value,
  hearsayHostBurst: P2P_LIMITS.hearsayHostBurst.value,
  hearsayHostPerSecond: P2P_LIMITS.hearsayHostPerSecond.value,
  hearsayNetBurst: P2P_LIMITS.hearsayNetBurst.value,
  hearsayNetPerSecond: P2P_LIMITS.hearsayNetPerSecond.value,
  monitorMs: P2P_LIMITS.monitorMs.value,
};
