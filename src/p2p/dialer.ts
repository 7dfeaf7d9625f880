/**
 * From a target to an open connection whose other end is proven to be it.
 *
 * An explicit address is dialled and nothing else. A peer id is looked for at the addresses that are known and by
 * all discoveries, one begun shortly after the other; the first that authenticates wins and ends the search for the others.
 */
import type { Connection } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { type Multiaddr } from "@multiformats/multiaddr";
import type { Clock } from "../clock.ts";
import { InvalidInputError, PeerIdentityError, UnreachableError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { abortable, rethrowIfCancelled } from "../nursery/index.ts";
import type { Discovery, PeerHint } from "../peer/discovery.ts";
import type { PeerTarget } from "../peer/rpc.ts";
import type { PeerTable } from "../peer/table.ts";
import { isRelayed, nameAddress, parseMultiaddr, peerIdIn } from "./address.ts";
import { AddressDials } from "./address-dials.ts";
import { EXPLICIT, type Hearsay } from "./hearsay.ts";
import type { Libp2pNode } from "./libp2p-node.ts";
import type { P2pLimits } from "./limits.ts";
import { inOrder, KNOWN } from "./order.ts";
import { bestConnection, pathOf } from "./path.ts";
import { firstOf } from "./staggered.ts";
import { type MechanismRecord, SearchRecord } from "./trace.ts";

/** What dialling needs. */
export interface DialerOptions {
  readonly libp2p: Libp2pNode;
  readonly table: PeerTable;
  readonly discoveries: readonly Discovery[];
  /** Names of mechanisms in the order to ask them. Default: the order of `order.ts`. */
  readonly order?: readonly string[] | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether a peer that nobody asked for by name is good enough. */
  readonly acceptsAny: (connection: Connection) => Promise<boolean>;
  readonly limits: P2pLimits;
  /** How much is dialled on the word of others. */
  readonly hearsay: Hearsay;
  /** Makes this node known to a relay. */
  readonly introduceTo: (relay: Multiaddr) => Promise<void>;
}

/** A mechanism gets this head start over the next one: what a file or a peer on the same network needs to answer. */
export const MECHANISM_STAGGER_MS = 250;

interface Source {
  readonly name: string;
  readonly find: () => Promise<readonly PeerHint[]>;
}

/** Finds and dials peers. Runs in the scope of its caller, whose deadline bounds it. */
export class Dialer {
  readonly #options: DialerOptions;
  readonly #dials: AddressDials;

  constructor(options: DialerOptions) {
    this.#options = options;
    options.hearsay.learn(options.discoveries);
    this.#dials = new AddressDials(options);
  }

  /** This node's own id. */
  get ownPeerId(): string {
    return this.#options.libp2p.peerId.toString();
  }

  /** An empty record for {@link connect}. */
  newRecord(): SearchRecord {
    return new SearchRecord(this.#options.clock);
  }

  /**
   * An open connection to the target.
   *
   * @param record - is told what is done
   * @throws UnreachableError saying what was tried; PeerIdentityError; InvalidInputError if the target is malformed
   */
  async connect(target: PeerTarget, record: SearchRecord = this.newRecord()): Promise<Connection> {
    const failures: unknown[] = [];
    const found = await this.#search(target, record, failures);
    if (found) return found;
    const fraud = failures.find((failure) => failure instanceof PeerIdentityError);
    if (fraud) throw fraud;
    const name = target.multiaddr ?? target.peerId ?? "any peer";
    throw new UnreachableError(
      `cannot reach ${name}: ${record.words || "no address is known and nothing was found"}`,
      {
        cause: failures.length === 1 ? failures[0] : new AggregateError(failures, "all attempts failed"),
      },
    );
  }

  /** An open connection to the peer, if there is one; a direct one before a relayed one. */
  existing(peerId: string): Connection | undefined {
    return bestConnection(this.#options.libp2p, parsePeerId(peerId));
  }

  /** All open connections to the peer that a target names. @throws InvalidInputError if the target is malformed */
  connectionsTo({ peerId, multiaddr }: PeerTarget): readonly Connection[] {
    const wanted = peerId ?? (multiaddr === undefined ? undefined : peerIdIn(parseMultiaddr(multiaddr)));
    if (wanted === undefined) return [];
    const all = this.#options.libp2p.getConnections(parsePeerId(wanted));
    return all.filter((connection) => connection.status === "open");
  }

  /**
   * Dials every address of the peer that anybody knows, also if it is connected, and this node's own id elsewhere.
   *
   * @param use - gets each connection that is made
   */
  async dialAll(
    { peerId, multiaddr }: PeerTarget,
    record: SearchRecord,
    use: (connection: Connection) => Promise<void>,
  ): Promise<void> {
    const given = multiaddr === undefined ? undefined : parseMultiaddr(multiaddr);
    const wanted = peerId ?? (given && peerIdIn(given));
    const explicit: readonly Source[] =
      multiaddr === undefined
        ? []
        : [
            {
              name: EXPLICIT,
              find: () => Promise.resolve([{ peerId: wanted, multiaddrs: [multiaddr], method: EXPLICIT }]),
            },
          ];
    const sources = wanted === undefined ? explicit : [...explicit, ...this.#sourcesOf(wanted)];
    const own = new Set(wanted === this.ownPeerId ? this.#options.libp2p.getMultiaddrs().map(String) : []);
    await this.#race(sources, record, [], async (hints, mechanism) => {
      const addresses = hints.flatMap((hint) => this.#addressesOf(hint, wanted));
      const others = addresses.filter((address) => !own.has(address.toString()));
      const search = { record, mechanism, failures: [] };
      const reached = await this.#dials.all(others, wanted, search, use);
      if (reached) mechanism.end("connected");
      return undefined;
    });
  }

  /** A connection to a peer over what the node remembers of it, without a search; none if that leads nowhere. */
  async connectKnown(peerId: string): Promise<Connection | undefined> {
    const record = this.newRecord();
    const search = { record, mechanism: record.mechanism(KNOWN), failures: [] };
    const known = { peerId, multiaddrs: this.#options.table.addresses(peerId), method: KNOWN };
    const addresses = this.#addressesOf(known, peerId);
    return this.existing(peerId) ?? (await this.#dials.first(this.#dials.fresh(addresses), peerId, search));
  }

  #search(target: PeerTarget, record: SearchRecord, failures: unknown[]): Promise<Connection | undefined> {
    const { multiaddr, peerId } = target;
    if (multiaddr !== undefined) return this.#dialExplicit(multiaddr, peerId, record, failures);
    if (peerId !== undefined) return this.#dialById(peerId, record, failures);
    return this.#race(this.#discoveries(undefined), record, failures, (hints, mechanism) =>
      firstOf(
        hints
          .filter((hint) => hint.peerId !== this.ownPeerId)
          .map((hint) => () => this.#dialHint(hint, { record, mechanism, failures })),
        MECHANISM_STAGGER_MS,
        closeLate,
      ),
    );
  }

  async #dialExplicit(
    text: string,
    peerId: string | undefined,
    record: SearchRecord,
    failures: unknown[],
  ): Promise<Connection | undefined> {
    const address = parseMultiaddr(text);
    const inside = peerIdIn(address);
    if (peerId !== undefined && inside !== undefined && peerId !== inside) {
      throw new PeerIdentityError(`the address ${text} is not one of peer ${peerId}`);
    }
    const wanted = peerId ?? inside;
    if (wanted === this.ownPeerId) throw new UnreachableError("the target is this node itself");
    const existing = wanted === undefined ? undefined : this.existing(wanted);
    // A direct address is worth a connection of its own where there is only one through a relay.
    if (existing && (isRelayed(address) || pathOf(existing) === "direct")) return existing;
    const hint = { peerId: wanted, multiaddrs: [text], method: EXPLICIT };
    const source = { name: EXPLICIT, find: () => Promise.resolve([hint]) };
    return this.#race([source], record, failures, (_, mechanism) =>
      this.#dials.first([address], wanted, { record, mechanism, failures }),
    );
  }

  #dialById(peerId: string, record: SearchRecord, failures: unknown[]): Promise<Connection | undefined> {
    if (peerId === this.ownPeerId) throw new UnreachableError("the target is this node itself");
    const existing = this.existing(peerId);
    if (existing) return Promise.resolve(existing);
    return this.#race(this.#sourcesOf(peerId), record, failures, (hints, mechanism) => {
      const addresses = hints.flatMap((hint) => this.#addressesOf(hint, peerId));
      return this.#dials.first(addresses, peerId, { record, mechanism, failures });
    });
  }

  /** What the node remembers of a peer, and all discoveries. */
  #sourcesOf(peerId: string): readonly Source[] {
    const multiaddrs = this.#options.table.addresses(peerId);
    if (multiaddrs.length === 0) return this.#discoveries(peerId);
    const known = { name: KNOWN, find: () => Promise.resolve([{ peerId, multiaddrs, method: KNOWN }]) };
    return [known, ...this.#discoveries(peerId)];
  }

  #discoveries(peerId: string | undefined): readonly Source[] {
    return this.#options.discoveries.map((discovery) => ({
      name: discovery.name,
      find: () => abortable((signal) => discovery.find(peerId, signal)),
    }));
  }

  #race(
    sources: readonly Source[],
    record: SearchRecord,
    failures: unknown[],
    use: (hints: readonly PeerHint[], mechanism: MechanismRecord) => Promise<Connection | undefined>,
  ): Promise<Connection | undefined> {
    const ask = async ({ name, find }: Source): Promise<Connection | undefined> => {
      const mechanism = record.mechanism(name);
      try {
        const hints = await find();
        mechanism.hints(hints.length);
        const connection = await use(hints, mechanism);
        if (connection) mechanism.end("connected");
        else if (!mechanism.ended) mechanism.end(hints.length === 0 ? "nothing" : "unreachable");
        return connection;
      } catch (error) {
        mechanism.fail(error);
        rethrowIfCancelled(error);
        failures.push(error);
        return undefined;
      }
    };
    const ordered = inOrder(sources, this.#options.order ?? []);
    return firstOf(
      ordered.map((source) => () => ask(source)),
      MECHANISM_STAGGER_MS,
      closeLate,
    );
  }

  async #dialHint(
    hint: PeerHint,
    search: {
      readonly record: SearchRecord;
      readonly mechanism: MechanismRecord;
      readonly failures: unknown[];
    },
  ): Promise<Connection | undefined> {
    const { mechanism, failures } = search;
    try {
      const existing = hint.peerId === undefined ? undefined : this.existing(hint.peerId);
      const addresses = this.#addressesOf(hint, hint.peerId);
      const connection = existing ?? (await this.#dials.first(addresses, hint.peerId, search));
      if (connection === undefined || (await this.#options.acceptsAny(connection))) return connection;
      const peer = connection.remotePeer.toString();
      const what = `peer ${peer} was found by ${mechanism.name}, but did not prove the shared token`;
      mechanism.dial(connection.remoteAddr.toString(), "public").end("unproven", what);
      failures.push(new PeerIdentityError(what));
    } catch (error) {
      rethrowIfCancelled(error);
      failures.push(error);
    }
    return undefined;
  }

  /** The addresses of a hint that can be read and are not about somebody else; a hint may hold anything. */
  #addressesOf(hint: PeerHint, wanted: string | undefined): Multiaddr[] {
    if (hint.peerId !== undefined && wanted !== undefined && hint.peerId !== wanted) return [];
    return hint.multiaddrs.flatMap((text) => {
      try {
        const address = parseMultiaddr(text);
        const named = peerIdIn(address);
        return named !== undefined && wanted !== undefined && named !== wanted
          ? []
          : [nameAddress(address, wanted)];
      } catch (error) {
        this.#options.logger.debug(
          { method: hint.method, err: error },
          "a discovery gave an address that is none",
        );
        return [];
      }
    });
  }
}

function closeLate(connection: Connection): void {
  connection.abort(new Error("another address was faster"));
}

function parsePeerId(text: string): ReturnType<typeof peerIdFromString> {
  try {
    return peerIdFromString(text);
  } catch (cause) {
    throw new InvalidInputError(`'${text}' is no peer id`, { cause, hint: "it looks like 12D3Koo…" });
  }
}
