/** What others use of the peer-to-peer room. */
export type { AccessLists } from "./access.ts";
export { isLoopbackAddr, parseMultiaddr, peerIdIn } from "./address.ts";
export type { MessageChannel } from "./channel.ts";
export type { PeerSearch } from "./find.ts";
export { openP2pHost, type P2pHost, type P2pHostOptions, type P2pStats, type WaitOptions } from "./host.ts";
export { loadIdentity, newIdentity, peerIdOf } from "./identity.ts";
export { DEFAULT_P2P_LIMITS, type P2pLimits } from "./limits.ts";
export { MCP_P2P_PROTOCOL, TASK_QUEUE_PROTOCOL } from "./message.ts";
export { callerOf } from "./session.ts";
export { readSwarmKey } from "./swarm-key.ts";
export type { OldWireNode } from "./protocols/task-queue/operation.ts";
export type { Libp2pComponents, Mechanism, MechanismContext } from "./mechanism.ts";
export type { Libp2pNode } from "./libp2p-node.ts";
