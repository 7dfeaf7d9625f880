/**
 * Being reached through relays (circuit relay v2), and reaching others through them.
 *
 * libp2p's own way of listening at a relay gives up for good when the relay is away once, so only its transport and its
 * reservations are used; keeping them, and telling others of them, is done here.
 */
import { circuitRelayTransport, RELAY_V2_HOP_CODEC } from "@libp2p/circuit-relay-v2";
import type { Connection, PeerId } from "@libp2p/interface";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { errorFacts, McpError, UnreachableError } from "../../errors.ts";
import {
  abandonOnCancel,
  abortable,
  failAfter,
  moveOnAfter,
  rethrowIfCancelled,
  retry,
  suspend,
} from "../../nursery/index.ts";
import { nameAddress, parseMultiaddr } from "../address.ts";
import { isLoopbackAddr } from "../address-scope.ts";
import { type Finding, fine, note, problem } from "../../peer/finding.ts";
import type { Mechanism, MechanismContext } from "../mechanism.ts";
import { pathOf } from "../path.ts";
import { refreshAddresses } from "./addresses.ts";

/** A relay that is back has its nodes again after this long at most. */
const RETRY_CAP_MS = 2000;
const RETRY_BASE_MS = 250;
/** How long reaching a relay and reserving there may take. */
const RESERVE_MS = 10_000;
/** How long identify, which says whether a peer is a relay, may take. */
const IDENTIFY_MS = 5000;
/** How often a relay is asked for a sign of life, and how long it may take: it is known to be gone after 14 s. */
const PROBE_EVERY_MS = 8000;
const PROBE_MS = 6000;
/** Addresses of one relay that are told; more of them help nobody. */
const MAX_ADDRESSES = 4;

/** What libp2p's relay transport does besides what its types say (@libp2p/circuit-relay-v2 4.2). */
interface Reserving {
  readonly reservationStore: {
    addRelay(relay: PeerId, type: "configured"): Promise<unknown>;
    hasReservation(relay: PeerId): boolean;
    getReservation(relay: PeerId): { readonly addrs: readonly Uint8Array[] } | undefined;
  };
}

function isReserving(transport: unknown): transport is Reserving {
  if (typeof transport !== "object" || transport === null || !("reservationStore" in transport)) return false;
  const store = transport.reservationStore;
  return typeof store === "object" && store !== null && "addRelay" in store && "getReservation" in store;
}

/**
 * Reaches peers through relays, and keeps a place at each of the given ones.
 *
 * @param via - the relays, each with its peer id at the end
 */
export function relayClient(via: readonly string[]): Mechanism {
  const create = circuitRelayTransport();
  const told = new Map<string, readonly string[]>();
  const places: Place[] = [];
  let transport: unknown;
  return {
    name: "relay-client",
    transports: [
      (components) => {
        const made = create(components);
        transport = made;
        return made;
      },
    ],
    addresses: () => [...told.values()].flat(),
    examine: async () => places.map((place) => place.finding),
    serve(context) {
      for (const relay of via) {
        const place = new Place(parseMultiaddr(relay), { context, told, transport });
        places.push(place);
        context.nursery.startSoon(() => place.keep(), `keep a place at ${relay}`);
      }
    },
  };
}

interface PlaceOptions {
  readonly context: MechanismContext;
  /** The addresses at each relay. */
  readonly told: Map<string, readonly string[]>;
  readonly transport: unknown;
}

/** The place at one relay. */
class Place {
  readonly #relay: Multiaddr;
  readonly #name: string;
  readonly #options: PlaceOptions;
  /** Why there is no place; undefined while there is one, or before the first attempt has ended. */
  #failure: McpError | undefined;

  constructor(relay: Multiaddr, options: PlaceOptions) {
    this.#relay = relay;
    this.#name = relay.toString();
    this.#options = options;
  }

  /** How it stands, for people. */
  get finding(): Finding {
    const held = this.#options.told.has(this.#name);
    if (held) return fine("relay-reserved", `this node has a place at the relay ${this.#name}`);
    const failure = this.#failure;
    if (!failure) return note("relay-pending", `a place at the relay ${this.#name} is being asked for`);
    const { message, hint = "start the relay, or name another one: --relay-via <multiaddr>" } = failure;
    return problem(failure instanceof RelayRefusal ? "relay-no-place" : "relay-unreachable", message, hint);
  }

  /** Reserves, and does so again whenever the place is lost, until cancelled. */
  async keep(): Promise<never> {
    const { context, told } = this.#options;
    for (;;) {
      const connection = await this.#reserveAtLast();
      await this.#tell(this.#addresses(connection));
      context.logger.info({ relay: this.#name }, "this node is reached through a relay");
      await this.#untilLost(connection);
      told.delete(this.#name);
      await this.#tell(undefined);
      context.logger.warn({ relay: this.#name }, "the place at a relay is lost; it is sought again");
    }
  }

  #reserveAtLast(): Promise<Connection> {
    const { logger } = this.#options.context;
    return retry(() => failAfter(RESERVE_MS, () => this.#reserve()), {
      times: Infinity,
      baseMs: RETRY_BASE_MS,
      maxMs: RETRY_CAP_MS,
      onRetry: ({ error, failures }) => {
        this.#failure = error instanceof McpError ? error : new UnreachableError(messageOf(error));
        const facts = { relay: this.#name, failures, ...errorFacts(error) };
        if (failures === 1) logger.warn(facts, "no place at a relay yet; it is tried again");
        else logger.debug(facts, "no place at a relay");
      },
    });
  }

  async #reserve(): Promise<Connection> {
    const { context, transport } = this.#options;
    const { libp2p } = context;
    if (!isReserving(transport)) throw new TypeError("libp2p's relay transport is another one than expected");
    const connection = await this.#dial();
    const relay = connection.remotePeer;
    await this.#requireRelay(relay);
    // A relay that serves only its own must know us; one of another make does not ask.
    await context.introduce(connection);
    try {
      await abandonOnCancel(transport.reservationStore.addRelay(relay, "configured"));
    } catch (cause) {
      rethrowIfCancelled(cause);
      throw refusal(this.#name, cause);
    }
    const held = libp2p.getConnections(relay).find((open) => pathOf(open) === "direct");
    if (held === undefined) throw new UnreachableError(`the connection to the relay ${this.#name} is gone`);
    return held;
  }

  async #dial(): Promise<Connection> {
    try {
      return await abortable((signal) => this.#options.context.libp2p.dial(this.#relay, { signal }));
    } catch (cause) {
      rethrowIfCancelled(cause);
      throw new UnreachableError(`the relay ${this.#name} is not reached: ${messageOf(cause)}`, { cause });
    }
  }

  /** libp2p never again asks a peer that was no relay when it was asked, so it must not be asked too early. */
  async #requireRelay(relay: PeerId): Promise<void> {
    const { libp2p } = this.#options.context;
    const isRelay = async (): Promise<boolean> =>
      (await libp2p.peerStore.get(relay)).protocols.includes(RELAY_V2_HOP_CODEC);
    if (await abandonOnCancel(isRelay())) return;
    await moveOnAfter(IDENTIFY_MS, () =>
      suspend<void>((resume, fail) => {
        const onIdentify = ({ detail }: CustomEvent<{ readonly peerId: PeerId }>): void => {
          if (!detail.peerId.equals(relay)) return;
          libp2p.removeEventListener("peer:identify", onIdentify);
          resume();
        };
        libp2p.addEventListener("peer:identify", onIdentify);
        return (reason) => {
          libp2p.removeEventListener("peer:identify", onIdentify);
          fail(reason);
        };
      }),
    );
    if (await abandonOnCancel(isRelay())) return;
    throw new RelayRefusal(`peer ${relay.toString()} is no relay`, { hint: "start it with --relay" });
  }

  /** Under the address that works for us first; then under those that the relay itself says. */
  #addresses({ remotePeer }: Connection): readonly string[] {
    const { context, transport } = this.#options;
    const reservation = isReserving(transport)
      ? transport.reservationStore.getReservation(remotePeer)
      : undefined;
    const own = context.libp2p.peerId.toString();
    const said = (reservation?.addrs ?? [])
      .map((bytes) => nameAddress(multiaddr(bytes), remotePeer.toString()).toString())
      .filter((address) => !isLoopbackAddr(address));
    return [...new Set([nameAddress(this.#relay, remotePeer.toString()).toString(), ...said])]
      .slice(0, MAX_ADDRESSES)
      .map((address) => `${address}/p2p-circuit/p2p/${own}`);
  }

  /** Waits until the relay is gone or holds no place for us any more. */
  async #untilLost(connection: Connection): Promise<void> {
    const { context, transport } = this.#options;
    const holds = (): boolean =>
      connection.status === "open" &&
      isReserving(transport) &&
      transport.reservationStore.hasReservation(connection.remotePeer);
    while (holds()) {
      await moveOnAfter(PROBE_EVERY_MS, () => untilClosed(connection));
      if (!holds()) return;
      try {
        await failAfter(PROBE_MS, () =>
          abortable((signal) => context.libp2p.services.ping.ping(connection.remotePeer, { signal })),
        );
      } catch (error) {
        rethrowIfCancelled(error);
        connection.abort(
          new UnreachableError(`the relay ${this.#name} gives no sign of life`, { cause: error }),
        );
      }
    }
  }

  /** Makes libp2p tell its peers, and whoever listens, what this node's addresses are now. */
  async #tell(addresses: readonly string[] | undefined): Promise<void> {
    const { context, told } = this.#options;
    if (addresses) told.set(this.#name, addresses);
    await refreshAddresses(context);
  }
}

async function untilClosed(connection: Connection): Promise<void> {
  await suspend<void>((resume, fail) => {
    const onClose = (): void => resume();
    connection.addEventListener("close", onClose, { once: true });
    return (reason) => {
      connection.removeEventListener("close", onClose);
      fail(reason);
    };
  });
}

/** The relay was reached, and gives no place. */
class RelayRefusal extends UnreachableError {}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function refusal(relay: string, cause: unknown): Error {
  const message = messageOf(cause);
  const denied = message.includes("PERMISSION_DENIED");
  return new RelayRefusal(`the relay ${relay} gives no place: ${message}`, {
    cause,
    hint: denied
      ? "give both nodes the same token, or allow this node there with --allow-peer"
      : "the relay may be full; raise --relay-reservations there",
  });
}
