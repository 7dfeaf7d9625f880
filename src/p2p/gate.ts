/**
 * Who is let in: asked by libp2p when a socket opens, and again when its other end has proven its peer id, before
 * there is a muxer and before any stream.
 */
import type { ConnectionGater, MultiaddrConnection, PeerId } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { Access, type AccessLists } from "./access.ts";
import { type AddressLedger, type Admitted, ipOf } from "./address-ledger.ts";
import type { Budgets, PeerBudget } from "./budget.ts";
import { ipScope, isLoopbackAddr } from "./address-scope.ts";
import type { Hearsay } from "./hearsay.ts";
import type { P2pLimits } from "./limits.ts";
import type { OffenceKind, Offences } from "./offences.ts";

/** What the gate asks. */
export interface GateOptions {
  readonly limits: P2pLimits;
  readonly budgets: Budgets;
  readonly addresses: AddressLedger;
  readonly offences: Offences;
  readonly hearsay: Hearsay;
  /** Whether this machine's own connections are bounded by the total only. */
  readonly trustLoopback: boolean;
}

/** The gate of one host. */
export class Gate implements ConnectionGater {
  readonly #options: GateOptions;
  #access: Access;
  /** Connections that are counted for their address. */
  readonly #admitted = new WeakMap<MultiaddrConnection, Admitted>();
  /** Whose a connection is; its muxer sees the address only. */
  readonly #owners = new WeakMap<Multiaddr, PeerBudget>();

  constructor(options: GateOptions, lists: AccessLists) {
    this.#options = options;
    this.#access = new Access(lists);
  }

  /** Puts other lists in force, for connections to come. @throws ConfigError if one holds what it must not */
  setLists(lists: AccessLists): void {
    this.#access = new Access(lists);
  }

  /** Whether a connection that is open would be let in now. */
  wouldRefuse(peerId: string, address: Multiaddr): boolean {
    const ip = ipOf(address);
    return (
      this.#access.refusesPeer(peerId) !== undefined ||
      (ip !== undefined && this.#access.refusesAddress(ip) !== undefined)
    );
  }

  /** Whose the connection is that has exactly this address object. */
  ownerOf(address: Multiaddr): PeerBudget | undefined {
    return this.#owners.get(address);
  }

  denyDialPeer = (peerId: PeerId): boolean => this.#access.refusesPeer(peerId.toString()) !== undefined;

  denyDialMultiaddr = (address: Multiaddr): boolean =>
    this.#isDenied(address) || this.#options.hearsay.refusesOwn(address);

  /** Whether a socket from this IP address is refused before anything is made for it. */
  refusesSocket = (ip: string): boolean => {
    // libp2p has no way to write the zone behind such an address, and closes the socket without a word.
    if (ip.includes("%"))
      return this.#refuse(ip, "from a link-local address", "connections need an address without a zone");
    const refusal = this.#access.refusesAddress(ip);
    if (refusal !== undefined) return this.#refuse(ip, refusal, "its address is refused");
    if (this.#options.trustLoopback && ipScope(ip) === "loopback") return false;
    const reason = this.#options.addresses.wouldRefuse(ip);
    return reason !== undefined && this.#refuse(ip, "too many connections", reason);
  };

  denyInboundConnection = (connection: MultiaddrConnection): boolean => {
    const ip = ipOf(connection.remoteAddr);
    if (ip === undefined) return false;
    const refusal = this.#access.refusesAddress(ip);
    if (refusal !== undefined) return this.#refuse(ip, refusal, "its address is refused");
    if (this.#options.trustLoopback && isLoopbackAddr(connection.remoteAddr.toString())) return false;
    const admitted = this.#options.addresses.admit(ip);
    if (typeof admitted === "string") return this.#refuse(ip, "too many connections", admitted);
    this.#admitted.set(connection, admitted);
    connection.addEventListener("close", () => admitted.gone(), { once: true });
    return false;
  };

  denyOutboundConnection = (peerId: PeerId, connection: MultiaddrConnection): boolean =>
    this.denyDialPeer(peerId) || this.#isDenied(connection.remoteAddr);

  denyInboundEncryptedConnection = (id: PeerId, connection: MultiaddrConnection): boolean => {
    const { limits, budgets } = this.#options;
    const peerId = id.toString();
    const refusal = this.#access.refusesPeer(peerId);
    if (refusal !== undefined) return this.#refuse(peerId, refusal, "its id is refused");
    const known = budgets.peek(peerId);
    if (known?.isKeptOut === true) return this.#refuse(peerId, "kept out", "it broke the rules before");
    const open = known?.connections ?? 0;
    if (open >= limits.maxPeerConnections)
      return this.#refuse(peerId, "too many connections", `${open} connections of this peer are open`);
    this.#count(peerId, connection);
    return false;
  };

  denyOutboundEncryptedConnection = (id: PeerId, connection: MultiaddrConnection): boolean => {
    const peerId = id.toString();
    // An address without an id may lead to anybody.
    if (this.#access.refusesPeer(peerId) !== undefined) return true;
    this.#options.hearsay.reached(connection.remoteAddr);
    this.#count(peerId, connection);
    return false;
  };

  denyInboundUpgradedConnection = (_id: PeerId, connection: MultiaddrConnection): boolean => {
    this.#admitted.get(connection)?.ready();
    return false;
  };

  denyInboundRelayedConnection = (_relay: PeerId, peer: PeerId): boolean => {
    const peerId = peer.toString();
    const refusal = this.#access.refusesPeer(peerId);
    return refusal !== undefined && this.#refuse(peerId, refusal, "its id is refused");
  };

  #isDenied(address: Multiaddr): boolean {
    const ip = ipOf(address);
    return ip !== undefined && this.#access.refusesAddress(ip) !== undefined;
  }

  #count(peerId: string, connection: MultiaddrConnection): void {
    const { budgets } = this.#options;
    const budget = budgets.opened(peerId);
    this.#owners.set(connection.remoteAddr, budget);
    connection.addEventListener("close", () => budgets.closed(budget), { once: true });
  }

  #refuse(who: string, kind: OffenceKind, reason: string): true {
    this.#options.offences.note({ who, kind, reason });
    return true;
  }
}
