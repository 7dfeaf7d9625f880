/** This node on the peer-to-peer network: it serves its methods, calls those of others, and carries MCP. */
import type { Connection, PrivateKey, Stream } from "@libp2p/interface";
import type { Authority } from "../authority/authority.ts";
import type { PeerCaller } from "../authority/caller.ts";
import { covers } from "../authority/grant.ts";
import type { Clock } from "../clock.ts";
import { InvalidInputError, ShuttingDownError, UnreachableError } from "../errors.ts";
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
import type { AccessLists } from "./access.ts";
import { parseMultiaddr } from "./address.ts";
import { Admission } from "./admission.ts";
import type { MessageChannel } from "./channel.ts";
import { Dialer, pathOf } from "./dialer.ts";
import { findPeers, type PeerSearch } from "./find.ts";
import { type NodeOptions, startLibp2p } from "./libp2p.ts";
import type { Libp2pNode } from "./libp2p-node.ts";
import { DEFAULT_P2P_LIMITS, type P2pLimits } from "./limits.ts";
import { advertise, describeSelf, type Mechanism, openMechanisms } from "./mechanism.ts";
import { openChannelOver, type SessionStream } from "./open-channel.ts";
import { Protection } from "./protection.ts";
import type { Reached } from "./reach.ts";
import { inTime, P2pRpc } from "./rpc.ts";
import { STREAM_PROTOCOLS } from "./protocols/index.ts";
import type { ProtocolContext, ServedWire } from "./protocols/protocol.ts";
import type { OldWireNode } from "./protocols/task-queue/operation.ts";
import { Sessions } from "./session.ts";

/** How long the libp2p node may take to close its connections; after that their sockets are cut. */
const STOP_MS = 5000;

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

/** Counts of a running host. */
export interface P2pStats {
  readonly connections: number;
  /** Streams to peers that our calls share. */
  readonly links: number;
  /** Our calls that are unanswered. */
  readonly inFlight: number;
  /** Streams that peers have opened. */
  readonly inboundStreams: number;
  /** Calls of peers that are being answered. */
  readonly serving: number;
  /** Bytes that wait to be sent, on all streams. */
  readonly unsentBytes: number;
  /** The most bytes that ever waited on one open stream. */
  readonly peakUnsentBytes: number;
  /** Answers that came after their call was given up, or to no call at all. */
  readonly strayAnswers: number;
  /** What peers did against the rules, altogether. */
  readonly offences: number;
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
  /** Measures the round trip to a peer, in milliseconds. @throws UnreachableError */
  ping(peerId: string): Promise<number>;
  stats(): P2pStats;
  /** Puts other access lists in force, for open connections too. @throws ConfigError if one holds what it must not */
  setAccess(lists: AccessLists): void;
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
  const { mechanisms = [], clock, logger, swarmKey, access, trustLoopback = true } = options;
  if (sharedToken !== undefined) checkToken(sharedToken, "the host's options");
  for (const address of [...listen, ...announce]) parseMultiaddr(address);
  const limits = { ...DEFAULT_P2P_LIMITS, ...options.limits };
  const protection = new Protection({ clock, logger, limits, access, trustLoopback });
  const made = { privateKey, listen, announce, limits, mechanisms, protection, swarmKey };

  return options.nursery.start<P2pHost>(async (status) => {
    const stopped = Promise.withResolvers<void>();
    const libp2p = await startListening(made);
    protection.guard(libp2p);
    try {
      await openNursery(async (nursery) => {
        const opened = await openMechanisms(mechanisms, { libp2p, nursery, clock, logger });
        const discoveries = [...(options.discoveries ?? []), ...opened];
        const host = new Host(
          libp2p,
          nursery,
          protection,
          { ...options, limits, discoveries },
          stopped.promise,
        );
        await host.start();
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

/** The options with all limits filled in. */
interface HostOptions extends P2pHostOptions {
  readonly limits: P2pLimits;
}

class Host implements P2pHost {
  readonly peerId: string;
  readonly rpc: P2pRpc;
  readonly #libp2p: Libp2pNode;
  readonly #limits: P2pLimits;
  readonly #options: HostOptions;
  readonly #protection: Protection;
  readonly #admission: Admission;
  readonly #serve: ProtocolContext;
  readonly #channels = new Set<SessionStream>();
  readonly #stopped: Promise<void>;
  #close: () => void = () => undefined;

  constructor(
    libp2p: Libp2pNode,
    nursery: Nursery,
    protection: Protection,
    options: HostOptions,
    stopped: Promise<void>,
  ) {
    const { clock, logger, authority, methods, sharedToken, table, trustLoopback = true, onMcp } = options;
    const { sendTokenToOldPeers = false, limits } = options;
    this.#libp2p = libp2p;
    this.#limits = limits;
    this.#options = options;
    this.#stopped = stopped;
    this.peerId = libp2p.peerId.toString();
    const dispatcher = createDispatcher({ methods, authority, logger });
    const { peerId } = this;
    const hasToken = sharedToken !== undefined;
    const hasSwarmKey = options.swarmKey !== undefined;
    const serving = { dispatcher, nursery, clock, logger, limits, hasToken, onMcp };
    this.#serve = { ...serving, peerId, sharedToken, oldWire: options.oldWire };
    const sessions = new Sessions({
      ownPeerId: this.peerId,
      authority,
      clock,
      limits,
      budgets: protection.budgets,
      sharedToken,
      trustLoopback,
    });
    this.#protection = protection;
    this.#admission = new Admission({ sessions, protection, clock, limits });
    const acceptsAny = (connection: Connection): Promise<boolean> => this.#acceptsAny(connection);
    const dialer = new Dialer({
      libp2p,
      table,
      discoveries: options.discoveries ?? [],
      logger,
      hasSwarmKey,
      acceptsAny,
    });
    const secret = { sharedToken, sendTokenToOldPeers };
    this.rpc = new P2pRpc({ dialer, sessions, nursery, clock, logger, limits, ...secret });
  }

  async start(): Promise<void> {
    const { table } = this.#options;
    // Strangers are limited per connection by us, with an answer; libp2p would reset their streams without one.
    const streams = { maxInboundStreams: Infinity, maxOutboundStreams: Infinity };
    for (const protocol of STREAM_PROTOCOLS) {
      const serve = protocol.open(this.#serve);
      if (!serve) continue;
      const onStream = (stream: Stream, connection: Connection): void =>
        this.#admission.take(stream, connection, serve);
      await this.#libp2p.handle(protocol.id, onStream, streams);
    }
    this.#libp2p.addEventListener("connection:open", ({ detail }) => {
      const peerId = detail.remotePeer.toString();
      table.heard(peerId, { method: "inbound", connected: true, path: pathOf(detail) });
    });
    this.#libp2p.addEventListener("peer:disconnect", ({ detail }) => {
      table.heard(detail.toString(), { connected: false, seen: false });
    });
    this.#libp2p.addEventListener("peer:identify", ({ detail }) => {
      const id = detail.peerId.toString();
      table.heard(id, {
        multiaddrs: detail.listenAddrs.map((address) => address.encapsulate(`/p2p/${id}`).toString()),
        connected: true,
      });
    });
    this.#admission.watch((nowMs) => this.rpc.closeIdle(nowMs));
  }

  multiaddrs(): readonly string[] {
    return this.#libp2p.getMultiaddrs().map(String);
  }

  async openChannel(target: PeerTarget, options: WaitOptions = {}): Promise<MessageChannel> {
    const { session } = await this.#link(target, options);
    const wire = { limits: this.#limits, clock: this.#options.clock };
    return this.#inTime(() => openChannelOver(session.connection, wire, this.#channels), target, options);
  }

  async resolve(target: PeerTarget, options: WaitOptions = {}): Promise<string> {
    return (await this.#link(target, options)).peerId;
  }

  async trusts(peerId: string, options: WaitOptions = {}): Promise<boolean> {
    const { session } = await this.#link({ peerId }, options);
    return covers(this.#options.authority.grantsOf(session.caller), "work");
  }

  findPeers(search: PeerSearch): Promise<readonly Peer[]> {
    const { discoveries = [], table, logger } = this.#options;
    const options = { discoveries, table, logger, ownPeerId: this.peerId };
    return findPeers(search, options);
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
    const { links } = this.rpc;
    const wires = this.#streams().map(({ wire }) => wire);
    return {
      connections: this.#libp2p.getConnections().length,
      links: links.length,
      inFlight: sum([...links, ...this.rpc.oldPeers].map((reached) => reached.inFlight)),
      inboundStreams: this.#admission.streams.length,
      serving: sum(this.#admission.streams.map((served) => served.serving)),
      unsentBytes: sum(wires.map((wire) => wire.unsentBytes)),
      peakUnsentBytes: Math.max(0, ...wires.map((wire) => wire.peakUnsentBytes)),
      strayAnswers: this.rpc.counts.strayAnswers,
      offences: this.#protection.offences.count,
    };
  }

  setAccess(lists: AccessLists): void {
    this.#protection.setLists(lists);
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
      for (const { wire } of this.#streams()) wire.abort(reason);
      throw error;
    } finally {
      this.#admission.close();
    }
    await Promise.all(this.#streams().map(({ wire }) => wire.close()));
  }

  /** All streams of our protocols that are open, ours and theirs. */
  #streams(): readonly { readonly wire: ServedWire }[] {
    return [...this.rpc.links, ...this.#admission.streams, ...this.#channels];
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
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
