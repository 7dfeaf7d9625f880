/**
 * From a target to an open connection whose other end is proven to be it.
 *
 * An explicit address is dialled and nothing else. A peer id is looked for at the addresses that are known and by
 * all discoveries at once; the first that authenticates wins and ends the search for the others.
 */
import type { Connection, Libp2p } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { type Multiaddr } from "@multiformats/multiaddr";
import { InvalidInputError, PeerIdentityError, UnreachableError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { abortable, openNursery, rethrowIfCancelled } from "../nursery/index.ts";
import type { Discovery, PeerHint } from "../peer/discovery.ts";
import type { PeerTarget } from "../peer/rpc.ts";
import type { PeerTable } from "../peer/table.ts";
import { parseMultiaddr, peerIdIn } from "./address.ts";
import { dialError, isOtherPeer } from "./dial-error.ts";

/** What dialling needs. */
export interface DialerOptions {
  readonly libp2p: Libp2p;
  readonly table: PeerTable;
  readonly discoveries: readonly Discovery[];
  readonly logger: Logger;
  /** Whether this node is in a private swarm. Default false. */
  readonly hasSwarmKey?: boolean | undefined;
  /** Whether a peer that nobody asked for by name is good enough. */
  readonly acceptsAny: (connection: Connection) => Promise<boolean>;
}

/** Finds and dials peers. Runs in the scope of its caller, whose deadline bounds it. */
export class Dialer {
  readonly #options: DialerOptions;

  constructor(options: DialerOptions) {
    this.#options = options;
  }

  /** This node's own id. */
  get ownPeerId(): string {
    return this.#options.libp2p.peerId.toString();
  }

  /**
   * An open connection to the target.
   *
   * @throws UnreachableError saying what was tried; PeerIdentityError; InvalidInputError if the target is malformed
   */
  async connect(target: PeerTarget): Promise<Connection> {
    const failures: unknown[] = [];
    const found = await this.#search(target, failures);
    if (found) return found;
    const fraud = failures.find((failure) => failure instanceof PeerIdentityError);
    if (fraud) throw fraud;
    const tried = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)));
    const name = target.multiaddr ?? target.peerId ?? "any peer";
    throw new UnreachableError(
      `cannot reach ${name}: ${tried.join("; ") || "no address is known and nothing was found"}`,
      {
        cause: failures.length === 1 ? failures[0] : new AggregateError(failures, "all attempts failed"),
      },
    );
  }

  /** An open connection to the peer, if there is one; a direct one before a relayed one. */
  existing(peerId: string): Connection | undefined {
    const open = this.#options.libp2p
      .getConnections(parsePeerId(peerId))
      .filter((connection) => connection.status === "open");
    return open.find((connection) => connection.limits === undefined) ?? open[0];
  }

  #search(target: PeerTarget, failures: unknown[]): Promise<Connection | undefined> {
    if (target.multiaddr !== undefined) return this.#dialExplicit(target.multiaddr, target.peerId, failures);
    if (target.peerId !== undefined) return this.#dialById(target.peerId, failures);
    return firstOf(
      this.#options.discoveries.map((discovery) => () => this.#dialAny(discovery, failures)),
      failures,
    );
  }

  async #dialExplicit(
    text: string,
    peerId: string | undefined,
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
    if (existing) return existing;
    try {
      return await this.#dial([address], wanted, "explicit");
    } catch (error) {
      rethrowIfCancelled(error);
      failures.push(error);
      return undefined;
    }
  }

  async #dialById(peerId: string, failures: unknown[]): Promise<Connection | undefined> {
    if (peerId === this.ownPeerId) throw new UnreachableError("the target is this node itself");
    const existing = this.existing(peerId);
    if (existing) return existing;
    const { table, discoveries } = this.#options;
    const known = table.addresses(peerId).map(parseMultiaddr);
    const sources = discoveries.map((discovery) => async () => {
      const hints = await abortable((signal) => discovery.find(peerId, signal));
      const addresses = hints.flatMap((hint) => this.#addressesOf(hint));
      return addresses.length === 0 ? undefined : this.#dial(addresses, peerId, discovery.name);
    });
    const first = known.length === 0 ? [] : [() => this.#dial(known, peerId, "explicit")];
    return firstOf([...first, ...sources], failures);
  }

  async #dialAny(discovery: Discovery, failures: unknown[]): Promise<Connection | undefined> {
    const hints = await abortable((signal) => discovery.find(undefined, signal));
    const others = hints.filter((hint) => hint.peerId !== this.ownPeerId);
    return firstOf(
      others.map((hint) => () => this.#dialHint(hint, discovery.name)),
      failures,
    );
  }

  async #dialHint(hint: PeerHint, method: string): Promise<Connection | undefined> {
    const existing = hint.peerId === undefined ? undefined : this.existing(hint.peerId);
    const connection = existing ?? (await this.#dial(this.#addressesOf(hint), hint.peerId, method));
    if (await this.#options.acceptsAny(connection)) return connection;
    throw new PeerIdentityError(
      `peer ${connection.remotePeer.toString()} was found by ${method}, but did not prove the shared token`,
    );
  }

  /** The addresses of a hint that can be read; a hint may hold anything. */
  #addressesOf(hint: PeerHint): Multiaddr[] {
    return hint.multiaddrs.flatMap((text) => {
      try {
        return [parseMultiaddr(text)];
      } catch (error) {
        this.#options.logger.debug(
          { method: hint.method, err: error },
          "a discovery gave an address that is none",
        );
        return [];
      }
    });
  }

  async #dial(
    addresses: readonly Multiaddr[],
    wanted: string | undefined,
    method: string,
  ): Promise<Connection> {
    const { libp2p, table } = this.#options;
    const named = addresses.map((address) => nameAddress(address, wanted));
    try {
      const connection = await abortable((signal) => libp2p.dial(named, { signal }));
      const peerId = connection.remotePeer.toString();
      if (wanted !== undefined && peerId !== wanted) {
        throw new PeerIdentityError(`peer ${peerId} answered where ${wanted} was expected`);
      }
      const multiaddrs = [nameAddress(connection.remoteAddr, peerId).toString()];
      table.heard(peerId, { multiaddrs, method, connected: true, path: pathOf(connection) });
      return connection;
    } catch (error) {
      rethrowIfCancelled(error);
      // One that is only silent may come back; one where somebody else answers will not.
      if (wanted !== undefined && isOtherPeer(error)) {
        for (const address of named) table.forgetAddress(wanted, address.toString());
      }
      throw dialError(error, named, { wanted, hasSwarmKey: this.#options.hasSwarmKey ?? false });
    }
  }
}

/** How a connection runs. */
export function pathOf(connection: Connection): "direct" | "relayed" {
  return connection.limits === undefined ? "direct" : "relayed";
}

function parsePeerId(text: string): ReturnType<typeof peerIdFromString> {
  try {
    return peerIdFromString(text);
  } catch (cause) {
    throw new InvalidInputError(`'${text}' is no peer id`, { cause, hint: "it looks like 12D3Koo…" });
  }
}

/** With the id in the address, libp2p refuses any other peer before a stream is opened. */
function nameAddress(address: Multiaddr, peerId: string | undefined): Multiaddr {
  return peerId === undefined || peerIdIn(address) !== undefined
    ? address
    : address.encapsulate(`/p2p/${peerId}`);
}

/** Runs all sources at once; the first that finds something ends the others. */
async function firstOf<T>(
  sources: readonly (() => Promise<T | undefined>)[],
  failures: unknown[],
): Promise<T | undefined> {
  let found: T | undefined;
  await openNursery(async (nursery) => {
    for (const source of sources) {
      nursery.startSoon(async () => {
        try {
          const value = await source();
          if (value === undefined || found !== undefined) return;
          found = value;
          nursery.cancel("another source was first");
        } catch (error) {
          rethrowIfCancelled(error);
          failures.push(error);
        }
      });
    }
  });
  return found;
}
