/** What a host is made of, and what others do with it. */
import type { PrivateKey } from "@libp2p/interface";
import type { Authority } from "../authority/authority.ts";
import type { PeerCaller } from "../authority/caller.ts";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Nursery } from "../nursery/index.ts";
import type { Discovery } from "../peer/discovery.ts";
import type { Peer } from "../peer/peer.ts";
import type { PeerTarget, RpcClient, ServedMethod } from "../peer/rpc.ts";
import type { PeerTable } from "../peer/table.ts";
import type { Examination } from "../peer/trace.ts";
import type { AccessLists } from "./access.ts";
import type { MessageChannel } from "./channel.ts";
import type { PeerSearch } from "./find.ts";
import type { P2pLimits } from "./limits.ts";
import type { Mechanism } from "./mechanism.ts";
import type { OldWireNode } from "./protocols/task-queue/operation.ts";
import type { P2pStats } from "./stats.ts";

/** What a host is made of. */
export interface P2pHostOptions {
  readonly privateKey: PrivateKey;
  /** Where to listen. Default: a free TCP port on loopback. */
  readonly listen?: readonly string[] | undefined;
  /** Addresses to tell others instead of those listened on. */
  readonly announce?: readonly string[] | undefined;
  /** The host lives in it: it ends with it, and holds it open until {@link P2pHost.close}. */
  readonly nursery: Nursery;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly authority: Authority;
  readonly methods: readonly ServedMethod[];
  /** Gets the channel of each MCP session that a peer opens. Absent: MCP is refused. */
  readonly onMcp?: ((channel: MessageChannel, caller: PeerCaller) => void) | undefined;
  /** The node as old Python peers see it. Absent: they are not served. */
  readonly oldWire?: OldWireNode | undefined;
  /** The secret of this node's group, at least 32 characters; it is proven, never sent. */
  readonly sharedToken?: string | undefined;
  /**
   * Whether peers of the older protocols, which know no proof, may be sent the shared token itself all the same; only
   * those that a call names by their id. Default false.
   */
  readonly sendTokenToOldPeers?: boolean | undefined;
  readonly discoveries?: readonly Discovery[] | undefined;
  /** Names of mechanisms in the order to ask them for a peer; those not named come after. Default: see `order.ts`. */
  readonly searchOrder?: readonly string[] | undefined;
  /** What is opened with the libp2p node; the discoveries among it are asked after the others. */
  readonly mechanisms?: readonly Mechanism[] | undefined;
  readonly table: PeerTable;
  readonly limits?: Partial<P2pLimits> | undefined;
  /** Who may connect at all. Default: everybody. */
  readonly access?: AccessLists | undefined;
  /** The text of a swarm key: only nodes that have it are reached, and reach this one. Default: none. */
  readonly swarmKey?: string | undefined;
  /** Whether peers that connect from loopback count as being on this machine. Default true. */
  readonly trustLoopback?: boolean | undefined;
}

/** Options of what waits for a peer. */
export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
}

/** A running host. */
export interface P2pHost {
  readonly peerId: string;
  readonly rpc: RpcClient;
  /** Where others reach it, each ending in `/p2p/<peer id>`. */
  multiaddrs(): readonly string[];
  /**
   * Opens a stream for one MCP session.
   *
   * @throws UnreachableError, PeerIdentityError
   */
  openChannel(target: PeerTarget, options?: WaitOptions): Promise<MessageChannel>;
  /** The id of the peer that a target means, authenticated. @throws UnreachableError, PeerIdentityError */
  resolve(target: PeerTarget, options?: WaitOptions): Promise<string>;
  /** Whether a peer that is connected is one of ours: on this machine, allowed by name, or with the shared token. */
  isOurs(peerId: string): boolean;
  /**
   * Whether a peer is one of ours: it is on this machine, on the allow-list, or has proven the shared token. Connects
   * to find out.
   *
   * @throws UnreachableError, PeerIdentityError
   */
  trusts(peerId: string, options?: WaitOptions): Promise<boolean>;
  /** Asks the discoveries who is there. What they say is hearsay until a peer is connected. */
  findPeers(search: PeerSearch): Promise<readonly Peer[]>;
  /** Asks every mechanism and dials every address of a peer. @throws InvalidInputError */
  examine(target: PeerTarget, timeoutMs?: number): Promise<Examination>;
  /** Connects to a peer over addresses that are known, without a search. @returns whether it is connected now */
  connectKnown(peerId: string): Promise<boolean>;
  /** The addresses that sockets are bound to, whatever is announced. */
  listening(): readonly string[];
  /** What else can tell why this node is not reached. */
  readonly examinable: readonly Pick<Mechanism, "name" | "examine">[];
  /** All discoveries, those of the mechanisms among them. */
  readonly discoveries: readonly Discovery[];
  /** Measures the round trip to a peer, in milliseconds. @throws UnreachableError */
  ping(peerId: string): Promise<number>;
  stats(): P2pStats;
  /** Puts other access lists in force, for open connections too. @throws ConfigError if one holds what it must not */
  setAccess(lists: AccessLists): void;
  /** Ends all calls and sessions and closes all connections. Idempotent. */
  close(): Promise<void>;
}
