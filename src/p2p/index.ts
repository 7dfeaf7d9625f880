/** What others use of the peer-to-peer room. */
export type { AccessLists } from "./access.ts";
export { isRelayed, parseMultiaddr, peerIdIn } from "./address.ts";
export {
  type AddressScope,
  dialable,
  type Endpoint,
  endpointOf,
  ipScope,
  isLoopbackAddr,
  isPublicAddress,
} from "./address-scope.ts";
export { Bucket } from "./bucket.ts";
export type { MessageChannel } from "./channel.ts";
export type { PeerSearch } from "./find.ts";
export { openP2pHost } from "./host.ts";
export type { P2pHost, P2pHostOptions, WaitOptions } from "./p2p-host.ts";
export type { P2pStats } from "./stats.ts";
export { startLookout } from "./lookout.ts";
export { loadIdentity, newIdentity, peerIdOf } from "./identity.ts";
export { DEFAULT_P2P_LIMITS, type P2pLimits } from "./limits.ts";
export { MCP_P2P_PROTOCOL, TASK_QUEUE_PROTOCOL } from "./message.ts";
export { createReach, type ReachConfig } from "./reach/index.ts";
export { callerOf } from "./session.ts";
export { readSwarmKey } from "./swarm-key.ts";
export type { OldWireNode } from "./protocols/task-queue/operation.ts";
export type { Libp2pComponents, Mechanism, MechanismContext } from "./mechanism.ts";
export type { Libp2pNode } from "./libp2p-node.ts";
