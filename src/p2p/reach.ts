/** From a connection to what calls can go over: a link to a node of ours, or an old peer. */
import type { Connection } from "@libp2p/interface";
import type { Clock } from "../clock.ts";
import { ConnectionLostError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { P2pLimits } from "./limits.ts";
import { Link, type LinkCounts } from "./link.ts";
import { isOtherDialect, MCP_P2P_PROTOCOL, TASK_QUEUE_PROTOCOL } from "./message.ts";

import { findOldWire } from "./old-peer/negotiate.ts";
import { OldPeer } from "./old-peer/old-peer.ts";
import { Verdicts } from "./old-peer/verdicts.ts";
import { openStream } from "./open-stream.ts";
import { proveToken } from "./prove.ts";
import type { Sessions } from "./session.ts";

/** What calls can go over. */
export type Reached = Link | OldPeer;

/** What reaching needs. */
export interface ReachOptions {
  readonly ownPeerId: string;
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: P2pLimits;
  readonly sharedToken: string | undefined;
  /** Whether old peers that are named may be sent the token itself. */
  readonly sendTokenToOldPeers: boolean;
}

/** Reaches peers, and remembers what each speaks. */
export class Reach {
  readonly counts: LinkCounts = { strayAnswers: 0 };
  readonly #options: ReachOptions;
  readonly #verdicts: Verdicts;
  /** Who works on what at old peers; outlives their connections, as the work does. */
  readonly #workers = new Map<string, string>();

  constructor(options: ReachOptions) {
    this.#options = options;
    this.#verdicts = new Verdicts(options.clock);
  }

  /**
   * Makes the peer of an open connection ready for calls.
   *
   * libp2p settles the protocol. Of the two dialects of `/mcp+p2p/1.0.0` ours is taken for granted, which costs our own
   * peers nothing: a peer of the other one refuses the first call unread, its link ends, and this is asked again.
   *
   * @param onGone - called when a link has ended
   * @throws UnreachableError, NotSupportedByPeerError, PeerIdentityError
   */
  async over(connection: Connection, onGone: (link: Link) => void): Promise<Reached> {
    const peerId = connection.remotePeer.toString();
    const verdict = this.#verdicts.get(peerId);
    if (verdict === "other") return this.#findOld(connection);
    if (verdict !== undefined) return this.#oldPeer(connection, verdict);
    const stream = await openStream(connection, [MCP_P2P_PROTOCOL, TASK_QUEUE_PROTOCOL]);
    if (stream.protocol === TASK_QUEUE_PROTOCOL) {
      const peer = this.#found(connection, "line");
      peer.keepStream(stream);
      return peer;
    }
    const { sessions, limits, clock } = this.#options;
    const onOtherDialect = (): void => this.#verdicts.set(peerId, "other");
    const options = { limits, clock, counts: this.counts, onOtherDialect };
    const link = new Link(stream, sessions.of(connection), options, onGone);
    try {
      await this.#prove(link);
    } catch (error) {
      link.wire.abort(new ConnectionLostError("the stream was not used", { cause: error }));
      if (isOtherDialect(error)) return this.#findOld(connection);
      throw error;
    }
    return link;
  }

  async #findOld(connection: Connection): Promise<OldPeer> {
    const wire = await findOldWire(connection, this.#options);
    const peer = this.#found(connection, wire.dialect);
    if (wire.dialect === "session") peer.keep(wire.opened);
    else peer.keepStream(wire.opened);
    return peer;
  }

  #found(connection: Connection, dialect: "session" | "line"): OldPeer {
    const peerId = connection.remotePeer.toString();
    this.#verdicts.set(peerId, dialect);
    this.#options.logger.info({ peer: peerId, dialect }, "a peer speaks an older protocol");
    return this.#oldPeer(connection, dialect);
  }

  #oldPeer(connection: Connection, dialect: "session" | "line"): OldPeer {
    const { sessions, clock, limits, ownPeerId, sharedToken, sendTokenToOldPeers } = this.#options;
    const peerId = connection.remotePeer.toString();
    return new OldPeer(sessions.of(connection), dialect, {
      clock,
      limits,
      ownPeerId,
      token: sendTokenToOldPeers ? sharedToken : undefined,
      holds: () => this.#verdicts.get(peerId) === dialect,
      workers: this.#workers,
    });
  }

  async #prove(link: Link): Promise<void> {
    const { sharedToken, ownPeerId, logger, limits, clock } = this.#options;
    if (sharedToken === undefined || link.session.caller.provedToken) return;
    const timeoutMs = limits.connectMs;
    const request = { timeoutMs, untilMs: clock.now() + timeoutMs, signal: undefined };
    await proveToken(link, { sharedToken, ownPeerId, logger, request });
  }
}
