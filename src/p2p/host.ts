/** This node on the peer-to-peer network: it serves its methods, calls those of others, and carries MCP. */
import type { Connection, Stream } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import type { Multiaddr } from "@multiformats/multiaddr";
import { covers } from "../authority/grant.ts";
import { InvalidInputError, ShuttingDownError, UnreachableError } from "../errors.ts";
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
import type { PeerTarget } from "../peer/rpc.ts";
import { checkToken } from "../peer/token.ts";
import type { AccessLists } from "./access.ts";
import { type Acquaintance, Acquaintances, introduceOver } from "./acquaintance.ts";
import { Admission } from "./admission.ts";
import { parseMultiaddr } from "./address.ts";
import type { MessageChannel } from "./channel.ts";
import type { Examination } from "../peer/trace.ts";
import { Dialer } from "./dialer.ts";
import { examine } from "./examine.ts";
import { findPeers, type PeerSearch } from "./find.ts";
import { type NodeOptions, startLibp2p } from "./libp2p.ts";
import type { Libp2pNode } from "./libp2p-node.ts";
import { DEFAULT_P2P_LIMITS, type P2pLimits } from "./limits.ts";
import { advertise, describeSelf, openMechanisms, serveMechanisms } from "./mechanism.ts";
import { openChannelOver, type SessionStream } from "./open-channel.ts";
import { LinkWatch } from "./link-watch.ts";
import type { P2pHost, P2pHostOptions, WaitOptions } from "./p2p-host.ts";
import { followPaths } from "./paths.ts";
import { Protection } from "./protection.ts";
import type { Reached } from "./reach.ts";
import { inTime, P2pRpc } from "./rpc.ts";
import { STREAM_PROTOCOLS } from "./protocols/index.ts";
import type { ProtocolContext, ServedWire } from "./protocols/protocol.ts";
import { Sessions } from "./session.ts";
import { type P2pStats, statsOf } from "./stats.ts";

/** How long the libp2p node may take to close its connections; after that their sockets are cut. */
const STOP_MS = 5000;

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
        const known = new Acquaintances();
        const { isOurs, introduce } = known;
        const context = { libp2p, nursery, clock, logger, isOurs, introduce };
        const opened = await openMechanisms(mechanisms, context);
        const discoveries = [...(options.discoveries ?? []), ...opened];
        const hostOptions = { ...options, limits, discoveries };
        const host = new Host(libp2p, nursery, protection, hostOptions, stopped.promise);
        known.host = host;
        await host.start();
        serveMechanisms(mechanisms, context);
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

class Host implements P2pHost, Acquaintance {
  readonly peerId: string;
  readonly rpc: P2pRpc;
  readonly discoveries: readonly Discovery[];
  readonly #dialer: Dialer;
  readonly #libp2p: Libp2pNode;
  readonly #nursery: Nursery;
  readonly #limits: P2pLimits;
  readonly #options: HostOptions;
  readonly #protection: Protection;
  readonly #admission: Admission;
  readonly #sessions: Sessions;
  readonly #serve: ProtocolContext;
  readonly #channels = new Set<SessionStream>();
  readonly #stopped: Promise<void>;
  readonly #watch: LinkWatch;
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
      budgets: protection.budgets,
      sharedToken,
      trustLoopback,
    });
    this.#sessions = sessions;
    this.#protection = protection;
    this.#admission = new Admission({ sessions, protection, clock, limits });
    const acceptsAny = (connection: Connection): Promise<boolean> => this.#acceptsAny(connection);
    const introduceTo = async (relay: Multiaddr): Promise<void> => {
      const { session } = await this.#link({ multiaddr: relay.toString() }, {});
      session.budget.markUsed();
    };
    const { discoveries = [], searchOrder: order } = options;
    this.discoveries = discoveries;
    this.#dialer = new Dialer({
      libp2p,
      table,
      discoveries,
      order,
      clock,
      logger,
      limits,
      acceptsAny,
      introduceTo,
      hearsay: protection.hearsay,
    });
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
        this.#admission.take(stream, connection, serve);
      await this.#libp2p.handle(protocol.id, onStream, streams);
    }
    followPaths(this.#libp2p, {
      table,
      nursery: this.#nursery,
      onDirect: (peerId) => this.rpc.moveOffRelay(peerId),
    });
    this.#admission.watch((nowMs) => this.rpc.closeIdle(nowMs));
    this.#watch.start();
  }

  get examinable(): P2pHost["examinable"] {
    return (this.#options.mechanisms ?? []).filter((mechanism) => "examine" in mechanism);
  }

  multiaddrs(): readonly string[] {
    return this.#libp2p.getMultiaddrs().map(String);
  }

  listening(): readonly string[] {
    return this.#libp2p.services.dials.listening();
  }

  async openChannel(target: PeerTarget, options: WaitOptions = {}): Promise<MessageChannel> {
    const { session } = await this.#link(target, options);
    session.budget.markUsed();
    const wire = { limits: this.#limits, clock: this.#options.clock };
    return this.#inTime(() => openChannelOver(session.connection, wire, this.#channels), target, options);
  }

  async resolve(target: PeerTarget, options: WaitOptions = {}): Promise<string> {
    return (await this.#link(target, options)).peerId;
  }

  isOurs(peerId: string): boolean {
    const { authority } = this.#options;
    return this.#libp2p
      .getConnections(peerIdFromString(peerId))
      .some((connection) => covers(authority.grantsOf(this.#sessions.of(connection).caller), "work"));
  }

  async trusts(peerId: string, options: WaitOptions = {}): Promise<boolean> {
    const { session } = await this.#link({ peerId }, options);
    return covers(this.#options.authority.grantsOf(session.caller), "work");
  }

  introduce(connection: Connection): Promise<void> {
    this.#sessions.of(connection).budget.markUsed();
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
    const { offences } = this.#protection;
    const served = this.#admission.streams;
    return statsOf({ connections, rpc: this.rpc, served, wires: this.#wires(), offences: offences.count });
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
      for (const wire of this.#wires()) wire.abort(reason);
      throw error;
    } finally {
      this.#admission.close();
      this.#watch.stop();
    }
    await Promise.all(this.#wires().map((wire) => wire.close()));
  }

  /** All streams of our protocols that are open, ours and theirs. */
  #wires(): readonly ServedWire[] {
    return [...this.rpc.links, ...this.#admission.streams, ...this.#channels].map(({ wire }) => wire);
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
