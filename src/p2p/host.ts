/** This node on the peer-to-peer network: it serves its methods, calls those of others, and carries MCP. */
import type { Connection, PrivateKey, Stream } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import type { Authority } from "../authority/authority.ts";
import type { PeerCaller } from "../authority/caller.ts";
import { covers } from "../authority/grant.ts";
import type { Clock } from "../clock.ts";
import { BusyError, InvalidInputError, ShuttingDownError, UnreachableError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import {
  abandonOnCancel,
  abortable,
  isCancelled,
  type Nursery,
  openNursery,
  shield,
  suspend,
} from "../nursery/index.ts";
import type { Discovery } from "../peer/discovery.ts";
import { createDispatcher } from "../peer/dispatch.ts";
import type { Peer } from "../peer/peer.ts";
import type { PeerTarget, RpcClient, ServedMethod } from "../peer/rpc.ts";
import type { PeerTable } from "../peer/table.ts";
import { checkToken } from "../peer/token.ts";
import { Acquaintances, introduceOver } from "./acquaintance.ts";
import { parseMultiaddr } from "./address.ts";
import type { MessageChannel } from "./channel.ts";
import type { Examination } from "../peer/trace.ts";
import { Dialer } from "./dialer.ts";
import { examine } from "./examine.ts";
import { findPeers, type PeerSearch } from "./find.ts";
import { type NodeOptions, startLibp2p } from "./libp2p.ts";
import type { Libp2pNode } from "./libp2p-node.ts";
import { DEFAULT_P2P_LIMITS, type P2pLimits } from "./limits.ts";
import {
  advertise,
  describeSelf,
  type Mechanism,
  type MechanismHost,
  openMechanisms,
  serveMechanisms,
} from "./mechanism.ts";
import { openChannelOver, type SessionStream } from "./open-channel.ts";
import { LinkWatch } from "./link-watch.ts";
import { followPaths } from "./paths.ts";
import type { Reached } from "./reach.ts";
import { inTime, P2pRpc } from "./rpc.ts";
import { STREAM_PROTOCOLS } from "./protocols/index.ts";
import type { ProtocolContext, ServedStream, ServedWire, ServeStream } from "./protocols/protocol.ts";
import type { OldWireNode } from "./protocols/task-queue/operation.ts";
import { Sessions } from "./session.ts";
import { type P2pStats, statsOf } from "./stats.ts";

/** How long the libp2p node may take to close its connections; after that their sockets are cut. */
const STOP_MS = 5000;
/** How often idle streams are looked for, as a part of the idle time. */
const SWEEPS_PER_IDLE = 4;

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
  /**
   * Whether a peer is one of ours: it is on this machine, on the allow-list, or has proven the shared token. Connects
   * to find out.
   *
   * @throws UnreachableError, PeerIdentityError
   */
  trusts(peerId: string, options?: WaitOptions): Promise<boolean>;
  /** Asks the discoveries who is there. What they say is hearsay until a peer is connected. */
  findPeers(search: PeerSearch): Promise<readonly Peer[]>;
  /** Asks every mechanism and dials every address of a peer. See {@link examine}. @throws InvalidInputError */
  examine(target: PeerTarget, timeoutMs?: number): Promise<Examination>;
  /** Connects to a peer over addresses that are known, without a search. @returns whether it is connected now */
  connectKnown(peerId: string): Promise<boolean>;
  /** The addresses that sockets are bound to, whatever is announced. */
  listening(): readonly string[];
  /** All discoveries, those of the mechanisms among them. */
  readonly discoveries: readonly Discovery[];
  /** Measures the round trip to a peer, in milliseconds. @throws UnreachableError */
  ping(peerId: string): Promise<number>;
  stats(): P2pStats;
  /** Ends all calls and sessions and closes all connections. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts a host.
 *
 * @throws ConfigError if the shared token is too short; InvalidInputError if an address is none or cannot be listened on
 */
export async function openP2pHost(options: P2pHostOptions): Promise<P2pHost> {
  const { sharedToken, listen = ["/ip4/127.0.0.1/tcp/0"], announce = [], privateKey } = options;
  const { mechanisms = [], clock, logger } = options;
  if (sharedToken !== undefined) checkToken(sharedToken, "the host's options");
  for (const address of [...listen, ...announce]) parseMultiaddr(address);
  const limits = { ...DEFAULT_P2P_LIMITS, ...options.limits };

  return options.nursery.start<P2pHost>(async (status) => {
    const stopped = Promise.withResolvers<void>();
    const libp2p = await startListening({ privateKey, listen, announce, limits, mechanisms });
    try {
      await openNursery(async (nursery) => {
        const known = new Acquaintances();
        const { isStranger, introduceOver: prove } = known;
        const context = { libp2p, nursery, clock, logger, isStranger, introduceOver: prove };
        const opened = await openMechanisms(mechanisms, context);
        const discoveries = [...(options.discoveries ?? []), ...opened];
        const host = new Host(libp2p, nursery, limits, { ...options, discoveries }, stopped.promise);
        known.host = host;
        await host.start();
        serveMechanisms(mechanisms, host, context);
        advertise(discoveries, describeSelf(libp2p, privateKey), { nursery, logger });
        status.started(host);
        await host.untilClosed();
        nursery.cancel("the host is closing");
      });
    } finally {
      // Also when the nursery around is cancelled: sockets must not outlive the host.
      await shield(STOP_MS, () => abandonOnCancel(Promise.resolve(libp2p.stop())));
      stopped.resolve();
    }
  }, "p2p host");
}

async function startListening(options: NodeOptions): Promise<Libp2pNode> {
  try {
    return await startLibp2p(options);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidInputError(`cannot listen on ${options.listen.join(", ")}: ${reason}`, { cause });
  }
}

class Host implements P2pHost, MechanismHost {
  readonly peerId: string;
  readonly rpc: P2pRpc;
  readonly discoveries: readonly Discovery[];
  readonly #dialer: Dialer;
  readonly #libp2p: Libp2pNode;
  readonly #nursery: Nursery;
  readonly #limits: P2pLimits;
  readonly #options: P2pHostOptions;
  readonly #sessions: Sessions;
  readonly #serve: ProtocolContext;
  readonly #served = new Set<ServedStream>();
  readonly #channels = new Set<SessionStream>();
  readonly #stopped: Promise<void>;
  readonly #watch: LinkWatch;
  #closed = false;
  #close: () => void = () => undefined;
  #stopSweep: () => void = () => undefined;

  constructor(
    libp2p: Libp2pNode,
    nursery: Nursery,
    limits: P2pLimits,
    options: P2pHostOptions,
    stopped: Promise<void>,
  ) {
    const { clock, logger, authority, methods, sharedToken, table, trustLoopback = true, onMcp } = options;
    const { sendTokenToOldPeers = false } = options;
    this.#libp2p = libp2p;
    this.#nursery = nursery;
    this.#limits = limits;
    this.#options = options;
    this.#stopped = stopped;
    this.peerId = libp2p.peerId.toString();
    const dispatcher = createDispatcher({ methods, authority, logger });
    const { peerId } = this;
    const hasToken = sharedToken !== undefined;
    const serving = { dispatcher, nursery, clock, logger, limits, hasToken, onMcp };
    this.#serve = { ...serving, peerId, sharedToken, oldWire: options.oldWire };
    const sessions = new Sessions({
      ownPeerId: this.peerId,
      authority,
      clock,
      limits,
      sharedToken,
      trustLoopback,
    });
    this.#sessions = sessions;
    const acceptsAny = (connection: Connection): Promise<boolean> => this.#acceptsAny(connection);
    const introduce = (relay: Multiaddr): Promise<void> => this.introduce({ multiaddr: relay.toString() });
    const { discoveries = [], searchOrder: order } = options;
    this.discoveries = discoveries;
    this.#dialer = new Dialer({ libp2p, table, discoveries, order, clock, logger, acceptsAny, introduce });
    const secret = { sharedToken, sendTokenToOldPeers };
    this.rpc = new P2pRpc({ dialer: this.#dialer, sessions, nursery, clock, logger, limits, ...secret });
    this.#watch = new LinkWatch({ clock, logger, limits, nursery, links: () => this.rpc.links });
  }

  async start(): Promise<void> {
    const { table } = this.#options;
    // Strangers are limited per connection by us, with an answer; libp2p would reset their streams without one.
    const unlimited = { maxInboundStreams: Infinity, maxOutboundStreams: Infinity };
    const streams = { ...unlimited, runOnLimitedConnection: true };
    for (const protocol of STREAM_PROTOCOLS) {
      const serve = protocol.open(this.#serve);
      if (!serve) continue;
      const onStream = (stream: Stream, connection: Connection): void =>
        this.#onStream(stream, connection, serve);
      await this.#libp2p.handle(protocol.id, onStream, streams);
    }
    followPaths(this.#libp2p, {
      table,
      nursery: this.#nursery,
      onDirect: (peerId) => this.rpc.moveOffRelay(peerId),
    });
    this.#sweepLater();
    this.#watch.start();
  }

  multiaddrs(): readonly string[] {
    return this.#libp2p.getMultiaddrs().map(String);
  }

  listening(): readonly string[] {
    return this.#libp2p.services.dials.listening();
  }

  async openChannel(target: PeerTarget, options: WaitOptions = {}): Promise<MessageChannel> {
    const { session } = await this.#link(target, options);
    const wire = { limits: this.#limits, clock: this.#options.clock };
    return this.#inTime(() => openChannelOver(session.connection, wire, this.#channels), target, options);
  }

  async resolve(target: PeerTarget, options: WaitOptions = {}): Promise<string> {
    return (await this.#link(target, options)).peerId;
  }

  isOurs(peerId: string): boolean {
    const { authority } = this.#options;
    return this.#libp2p
      .getConnections()
      .filter(({ remotePeer }) => remotePeer.toString() === peerId)
      .some((connection) => covers(authority.grantsOf(this.#sessions.of(connection).caller), "work"));
  }

  async introduce(target: PeerTarget): Promise<void> {
    await this.#link(target, {});
  }

  async trusts(peerId: string, options: WaitOptions = {}): Promise<boolean> {
    const { session } = await this.#link({ peerId }, options);
    return covers(this.#options.authority.grantsOf(session.caller), "work");
  }

  isStranger(connection: Connection): boolean {
    return this.#sessions.of(connection).isStranger;
  }

  introduceOver(connection: Connection): Promise<void> {
    return introduceOver(connection, this.rpc, this.#options);
  }

  findPeers(search: PeerSearch): Promise<readonly Peer[]> {
    const { table, logger } = this.#options;
    return findPeers(search, { discoveries: this.discoveries, table, logger, ownPeerId: this.peerId });
  }

  examine(target: PeerTarget, timeoutMs?: number): Promise<Examination> {
    return examine(target, { dialer: this.#dialer, rpc: this.rpc, clock: this.#options.clock }, timeoutMs);
  }

  async connectKnown(peerId: string): Promise<boolean> {
    return (await this.#dialer.connectKnown(peerId)) !== undefined;
  }

  async ping(peerId: string): Promise<number> {
    const target = { peerId };
    const { session } = await this.#link(target, {});
    const { remotePeer } = session.connection;
    const ping = (): Promise<number> =>
      abortable((signal) => this.#libp2p.services.ping.ping(remotePeer, { signal })).catch(
        (cause: unknown) => {
          if (isCancelled(cause)) throw cause;
          throw new UnreachableError(`peer ${peerId} did not answer a ping`, { cause });
        },
      );
    const rttMs = await this.#inTime(ping, target, {});
    this.#options.table.heard(peerId, { connected: true, rttMs });
    return rttMs;
  }

  stats(): P2pStats {
    const connections = this.#libp2p.getConnections().length;
    return statsOf({ connections, rpc: this.rpc, served: this.#served, wires: this.#wires() });
  }

  async close(): Promise<void> {
    this.#close();
    await this.#stopped;
  }

  /** Waits for {@link Host.close}, then says goodbye on all streams. */
  async untilClosed(): Promise<void> {
    try {
      await suspend<void>((resume, fail) => {
        this.#close = () => resume();
        return fail;
      });
    } catch (error) {
      // Cancelled: there is no time for goodbyes.
      const reason = new ShuttingDownError("the host is closing");
      for (const wire of this.#wires()) wire.abort(reason);
      throw error;
    } finally {
      this.#closed = true;
      this.#stopSweep();
      this.#watch.stop();
    }
    await Promise.all(this.#wires().map((wire) => wire.close()));
  }

  /** All streams of our protocols that are open, ours and theirs. */
  #wires(): readonly ServedWire[] {
    return [...this.rpc.links, ...this.#served, ...this.#channels].map(({ wire }) => wire);
  }

  #onStream(stream: Stream, connection: Connection, serve: ServeStream): void {
    const session = this.#sessions.of(connection);
    const tooMany = session.openStreams >= this.#limits.maxStreams || !session.streams.take();
    if (this.#closed || tooMany) {
      stream.abort(
        tooMany ? new BusyError("too many streams of this protocol") : new ShuttingDownError("closing"),
      );
      return;
    }
    session.openStreams += 1;
    const onGone = (gone: ServedStream): void => {
      session.openStreams -= 1;
      this.#served.delete(gone);
    };
    this.#served.add(serve(stream, session, onGone));
  }

  /** Whoever was not asked for by name must be on this machine or in our group, if there is one. */
  async #acceptsAny(connection: Connection): Promise<boolean> {
    if (this.#options.sharedToken === undefined) return true;
    const { session } = await this.rpc.linkOver(connection);
    return session.caller.sameMachine || session.caller.provedToken;
  }

  #link(target: PeerTarget, options: WaitOptions): Promise<Reached> {
    return this.#inTime(() => abandonOnCancel(this.rpc.link(target)), target, options);
  }

  #inTime<T>(fn: () => Promise<T>, target: PeerTarget, { signal }: WaitOptions): Promise<T> {
    return inTime(fn, target, { timeoutMs: this.#limits.connectMs, signal });
  }

  #sweepLater(): void {
    const { clock } = this.#options;
    this.#stopSweep = clock.schedule(() => {
      const now = clock.now();
      this.rpc.closeIdle(now);
      for (const served of this.#served) if (served.isIdleAt(now)) served.wire.closeSoon();
      this.#sweepLater();
    }, this.#limits.idleMs / SWEEPS_PER_IDLE);
  }
}
