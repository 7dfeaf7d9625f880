/**
 * The addresses of one peer, dialled side by side until one leads to it.
 *
 * What is near comes first: an address of this machine or network that is wrong fails at once or is somebody else, and one
 * that is right is the shortest way. Relays come last. What has failed lately goes behind what has not.
 */
import type { Connection } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import type { Clock } from "../clock.ts";
import { errorFacts, UnreachableError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { abortable, cancelScope, Limiter, openNursery, rethrowIfCancelled } from "../nursery/index.ts";
import type { PeerTable } from "../peer/table.ts";
import type { AddressClass, DialOutcome } from "../peer/trace.ts";
import { nameAddress, peerIdIn, relayIn } from "./address.ts";
import { classOf } from "./address-scope.ts";
import { AddressBackoff } from "./address-backoff.ts";
import { causeOf, type DialStage } from "./dial-cause.ts";
import type { Hearsay } from "./hearsay.ts";
import type { Libp2pNode } from "./libp2p-node.ts";
import { dialError, dialReason } from "./dial-error.ts";
import type { P2pLimits } from "./limits.ts";
import { pathOf } from "./path.ts";
import { firstOf } from "./staggered.ts";
import type { MechanismRecord, SearchRecord } from "./trace.ts";

/** What dialling addresses needs. */
export interface AddressDialsOptions {
  readonly libp2p: Libp2pNode;
  readonly table: PeerTable;
  readonly clock: Clock;
  readonly limits: P2pLimits;
  /** Makes this node known to a relay. */
  readonly introduceTo: (relay: Multiaddr) => Promise<void>;
  readonly logger: Logger;
  readonly hearsay: Hearsay;
}

/** One search that an address is dialled for. */
export interface DialSearch {
  readonly record: SearchRecord;
  readonly mechanism: MechanismRecord;
  /** Gets what each address failed with. */
  readonly failures: unknown[];
}

/** An address gets this head start over the next one of the same peer; RFC 8305 recommends 250 ms. */
export const ADDRESS_STAGGER_MS = 250;

/** A relay is itself dialled first. */
const RELAY_DIALS = 2;

/** More addresses of one peer than this are noise; libp2p itself dials at most 25. */
const MAX_ADDRESSES = 16;

const RANK: Readonly<Record<AddressClass, number>> = { loopback: 0, lan: 1, public: 2, relay: 3 };

/** Dials addresses, and remembers which have failed. */
export class AddressDials {
  readonly #options: AddressDialsOptions;
  readonly #backoff: AddressBackoff;
  readonly #limiter: Limiter;

  constructor(options: AddressDialsOptions) {
    this.#options = options;
    this.#backoff = new AddressBackoff(options.clock);
    this.#limiter = new Limiter(options.limits.maxDials);
  }

  /**
   * A connection over the first address that leads to `wanted`; none if none does. An address that was dialled before in
   * the same search is left to whoever dials it.
   *
   * @param wanted - absent: whoever answers
   */
  first(
    addresses: readonly Multiaddr[],
    wanted: string | undefined,
    search: DialSearch,
  ): Promise<Connection | undefined> {
    const { tried } = search.record;
    const fresh = this.#sorted(addresses).filter((address) => !tried.has(address.toString()));
    const named = fresh.slice(0, MAX_ADDRESSES).map((address) => nameAddress(address, wanted));
    return firstOf(
      named.map((address) => () => this.#dial(address, wanted, search)),
      ADDRESS_STAGGER_MS,
      (late) => late.abort(new Error("another address was faster")),
    );
  }

  /**
   * Dials all addresses and gives each connection to `use`.
   *
   * @returns whether there was any
   */
  async all(
    addresses: readonly Multiaddr[],
    wanted: string | undefined,
    search: DialSearch,
    use: (connection: Connection) => Promise<void>,
  ): Promise<boolean> {
    let any = false;
    await openNursery(async (nursery) => {
      for (const address of this.#sorted(addresses).slice(0, MAX_ADDRESSES)) {
        nursery.startSoon(async () => {
          const connection = await this.#dial(nameAddress(address, wanted), wanted, search);
          if (connection === undefined) return;
          any = true;
          await use(connection);
        }, "dial");
      }
    });
    return any;
  }

  /** Those of the addresses that have not failed lately. */
  fresh(addresses: readonly Multiaddr[]): readonly Multiaddr[] {
    return addresses.filter((address) => !this.#backoff.isBackedOff(address.toString()));
  }

  #sorted(addresses: readonly Multiaddr[]): readonly Multiaddr[] {
    const unique = new Map(addresses.map((address) => [address.toString(), address]));
    const place = (address: Multiaddr): number =>
      RANK[classOf(address)] + (this.#backoff.isBackedOff(address.toString()) ? Object.keys(RANK).length : 0);
    return [...unique.values()].toSorted((a, b) => place(a) - place(b));
  }

  async #dial(
    address: Multiaddr,
    wanted: string | undefined,
    { record, mechanism, failures }: DialSearch,
  ): Promise<Connection | undefined> {
    const text = address.toString();
    if (record.tried.has(text)) return undefined;
    const kind = classOf(address);
    const refusal = this.#options.hearsay.refuses(mechanism.name, address);
    if (refusal) {
      // Another mechanism that names it may have more weight.
      mechanism.dial(text, kind).end(refusal.outcome, refusal.reason);
      failures.push(new UnreachableError(`${text}: ${refusal.reason}`));
      return undefined;
    }
    record.tried.add(text);
    const row = mechanism.dial(text, kind);
    const hasSwarmKey = this.#options.libp2p.services.dials.isPrivate;
    const came: { stage: DialStage } = { stage: "connect" };
    try {
      const timeoutMs = this.#options.limits.addressDialMs * (kind === "relay" ? RELAY_DIALS : 1);
      const connection = await this.#limiter.run(() =>
        this.#dialInTime(address, timeoutMs, (stage) => (came.stage = stage)),
      );
      if (connection === undefined) {
        const outcome = silenceOf(came.stage, hasSwarmKey);
        this.#failed(text, wanted, outcome);
        const words = `${wordsOf(outcome)} within ${timeoutMs} ms`;
        row.end(outcome, words);
        failures.push(new UnreachableError(`${text}: ${words}`));
        return undefined;
      }
      this.#options.hearsay.reached(address);
      this.#reached(connection, text, mechanism.name);
      row.end("connected");
      return connection;
    } catch (error) {
      const cause = endOf(error, came.stage, hasSwarmKey);
      row.end(cause, cause === "cancelled" ? undefined : dialReason(error, { hasSwarmKey }));
      rethrowIfCancelled(error);
      this.#failed(text, wanted, cause);
      failures.push(dialError(error, text, { wanted, hasSwarmKey }));
      return undefined;
    }
  }

  /** @returns nothing if there was no answer in time */
  async #dialInTime(
    address: Multiaddr,
    timeoutMs: number,
    onStage: (stage: DialStage) => void,
  ): Promise<Connection | undefined> {
    const { dials } = this.#options.libp2p.services;
    const dial = async (): Promise<Connection> => {
      const relay = relayIn(address);
      if (relay) await this.#introduceTo(relay);
      return abortable((signal) => dials.dial(address, { signal, onStage }));
    };
    return (await cancelScope(dial, { timeoutMs })).value;
  }

  /**
   * A relay serves only whom it knows. One of another make knows no token; whether it serves us shows when it is asked.
   * Without a connection to it libp2p would look for one at all addresses it ever heard of, and take somebody else who
   * answers there for the peer behind the relay.
   *
   * @throws what kept this node from connecting to the relay
   */
  async #introduceTo(relay: Multiaddr): Promise<void> {
    const { introduceTo, libp2p, logger } = this.#options;
    try {
      await introduceTo(relay);
    } catch (error) {
      rethrowIfCancelled(error);
      const relayId = peerIdIn(relay);
      const reached = libp2p.getConnections().some(({ remotePeer }) => remotePeer.toString() === relayId);
      if (!reached) throw error;
      logger.debug({ relay: relay.toString(), ...errorFacts(error) }, "not known to a relay");
    }
  }

  #reached(connection: Connection, text: string, method: string): void {
    const peerId = connection.remotePeer.toString();
    this.#backoff.succeeded(text);
    this.#options.table.heard(peerId, {
      multiaddrs: [nameAddress(connection.remoteAddr, peerId).toString()],
      method: method === "known" ? undefined : method,
      connected: true,
      path: pathOf(connection),
    });
  }

  #failed(text: string, wanted: string | undefined, cause: DialOutcome): void {
    this.#backoff.failed(text);
    // One that is only silent may come back; one where somebody else answers will not.
    if (wanted !== undefined && cause === "wrong-peer") this.#options.table.forgetAddress(wanted, text);
  }
}

function endOf(error: unknown, stage: DialStage, isPrivate: boolean): DialOutcome {
  try {
    rethrowIfCancelled(error);
  } catch {
    return "cancelled";
  }
  return causeOf(error, stage, isPrivate);
}

/**
 * What no answer in time means. Ends with different swarm keys may each wait for the other to make sense; a node with
 * a key knows that this is possible, and for it nothing else is as likely.
 */
function silenceOf(stage: DialStage, hasSwarmKey: boolean): "timeout" | "silent" | "not-our-network" {
  if (stage !== "handshake") return "timeout";
  return hasSwarmKey ? "not-our-network" : "silent";
}

function wordsOf(outcome: ReturnType<typeof silenceOf>): string {
  if (outcome === "timeout") return "no answer";
  const why =
    outcome === "silent"
      ? "be in a private swarm whose key this node lacks"
      : "lack this node's swarm key or have another one";
  return `it was connected, but nobody spoke (the peer may ${why})`;
}
