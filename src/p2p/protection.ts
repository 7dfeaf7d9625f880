/** All that guards one host: the gate, what each peer may use, and the memory of what it did. */
import type { Connection, ConnectionGater, MessageStream, StreamMuxerFactory } from "@libp2p/interface";
import { isMultiaddr, type Multiaddr } from "@multiformats/multiaddr";
import type { Clock } from "../clock.ts";
import { BusyError, DeniedError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { AccessLists } from "./access.ts";
import { AddressLedger } from "./address-ledger.ts";
import { Budgets, type PeerBudget } from "./budget.ts";
import { Door } from "./door.ts";
import { Gate } from "./gate.ts";
import { guardedMuxer } from "./guarded-muxer.ts";
import { Hearsay } from "./hearsay.ts";
import type { Libp2pNode } from "./libp2p-node.ts";
import type { P2pLimits } from "./limits.ts";
import { Offences } from "./offences.ts";

/** What protecting needs. */
export interface ProtectionOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: P2pLimits;
  readonly access?: AccessLists | undefined;
  readonly trustLoopback: boolean;
}

/** The guard of one host. It is made before its libp2p node, and told of it with {@link Protection.guard}. */
export class Protection {
  readonly budgets: Budgets;
  readonly offences: Offences;
  readonly hearsay: Hearsay;
  readonly #addresses: AddressLedger;
  readonly #gate: Gate;
  readonly #options: ProtectionOptions;
  #libp2p: Libp2pNode | undefined;

  /** @throws ConfigError if an access list holds what it must not */
  constructor(options: ProtectionOptions) {
    const { clock, limits, access = {}, trustLoopback } = options;
    this.#options = options;
    this.offences = new Offences(options);
    const onKeptOut = (peerId: string, reason: string): void => this.#keepOut(peerId, reason);
    this.budgets = new Budgets({ clock, limits, offences: this.offences, onKeptOut });
    this.#addresses = new AddressLedger(clock, limits);
    this.hearsay = new Hearsay({ clock, limits });
    const { budgets, offences, hearsay } = this;
    const rules = { limits, budgets, addresses: this.#addresses, offences, hearsay, trustLoopback };
    this.#gate = new Gate(rules, access);
  }

  /** What libp2p asks whom to let in. */
  get gater(): ConnectionGater {
    return this.#gate;
  }

  /** What the sockets of a listener are refused by before libp2p sees them. */
  get door(): Door {
    return new Door(this.#gate.refusesSocket);
  }

  /** A muxer whose connections are watched. */
  get muxer(): () => StreamMuxerFactory {
    const { clock, limits } = this.#options;
    return guardedMuxer(limits, { clock, limits, ownerOf: (connection) => this.#ownerOf(connection) });
  }

  /** The node that is guarded, once it runs. */
  guard(libp2p: Libp2pNode): void {
    this.#libp2p = libp2p;
  }

  /** Puts other lists in force, at once and for open connections too. @throws ConfigError */
  setLists(lists: AccessLists): void {
    this.#gate.setLists(lists);
    const reason = new DeniedError("the peer", "connection");
    this.#end(
      ({ remotePeer, remoteAddr }) => this.#gate.wouldRefuse(remotePeer.toString(), remoteAddr),
      reason,
    );
  }

  /** Forgets who has been gone for long. */
  sweep(nowMs: number): void {
    this.budgets.forgetGone(nowMs);
    this.#addresses.forgetGone(nowMs);
  }

  #ownerOf(connection: MessageStream): PeerBudget | undefined {
    const address = addressUnder(connection);
    return address && this.#gate.ownerOf(address);
  }

  #keepOut(peerId: string, reason: string): void {
    const { limits } = this.#options;
    this.offences.note({ who: peerId, kind: "kept out", reason: `${reason}, for ${limits.keepOutMs} ms` });
    const error = new BusyError(`kept out for ${limits.keepOutMs} ms: ${reason}`);
    this.#end(({ remotePeer }) => remotePeer.toString() === peerId, error);
  }

  #end(which: (connection: Connection) => boolean, reason: Error): void {
    for (const connection of this.#libp2p?.getConnections() ?? [])
      if (which(connection)) connection.abort(reason);
  }
}

/** How many layers lie over a socket: the swarm key, and the encryption. */
const MOST_LAYERS = 4;

/** The address object of the socket that a connection goes over; Noise shows only what it wraps. */
function addressUnder(connection: MessageStream): Multiaddr | undefined {
  let layer: unknown = connection;
  for (let depth = 0; depth < MOST_LAYERS && typeof layer === "object" && layer !== null; depth++) {
    const address: unknown = Reflect.get(layer, "remoteAddr");
    if (isMultiaddr(address)) return address;
    layer = Reflect.get(layer, "stream");
  }
  return undefined;
}
