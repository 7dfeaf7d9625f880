/**
 * Dials the addresses of one peer: the direct ones first, those at relays a moment later.
 *
 * A relay serves only whom it knows, so this node makes itself known to it before it asks for the peer.
 */
import type { Connection, Libp2p } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { errorFacts } from "../errors.ts";
import type { Logger } from "../logger.ts";
import {
  abandonOnCancel,
  abortable,
  moveOnAfter,
  openNursery,
  rethrowIfCancelled,
} from "../nursery/index.ts";
import { isRelayed, relayIn } from "./address.ts";

/**
 * How long direct addresses have for themselves. A few round trips of a wide network: what can be reached directly
 * should be, and what cannot loses no more than this.
 */
const HEAD_START_MS = 400;

/** What dialling needs. */
export interface DialOptions {
  readonly libp2p: Libp2p;
  /** Makes this node known to a relay. */
  readonly introduce: (relay: Multiaddr) => Promise<void>;
  readonly logger: Logger;
}

/**
 * The first connection that any of the addresses gives. Runs in the scope of the caller.
 *
 * @throws what libp2p says of the direct addresses, or of the relayed ones if there are no others
 */
export async function dialAddresses(
  addresses: readonly Multiaddr[],
  options: DialOptions,
): Promise<Connection> {
  const direct = addresses.filter((address) => !isRelayed(address));
  const relayed = addresses.filter(isRelayed);
  if (relayed.length === 0) return dial(direct, options);
  if (direct.length === 0) return dialRelayed(relayed, options);
  return race(direct, relayed, options);
}

async function race(
  direct: readonly Multiaddr[],
  relayed: readonly Multiaddr[],
  options: DialOptions,
): Promise<Connection> {
  let found: Connection | undefined;
  const failures: unknown[] = [];
  const directFailed = Promise.withResolvers<void>();
  await openNursery(async (nursery) => {
    const attempt = async (fn: () => Promise<Connection>): Promise<void> => {
      try {
        const connection = await fn();
        if (found) return;
        found = connection;
        nursery.cancel("another address was first");
      } catch (error) {
        rethrowIfCancelled(error);
        failures.push(error);
      }
    };
    nursery.startSoon(async () => {
      await attempt(() => dial(direct, options));
      directFailed.resolve();
    });
    nursery.startSoon(async () => {
      await moveOnAfter(HEAD_START_MS, () => abandonOnCancel(directFailed.promise));
      await attempt(() => dialRelayed(relayed, options));
    });
  });
  if (found) return found;
  throw failures.length === 1 ? failures[0] : new AggregateError(failures, messageOf(failures));
}

function dial(addresses: readonly Multiaddr[], { libp2p }: DialOptions): Promise<Connection> {
  return abortable((signal) => libp2p.dial([...addresses], { signal }));
}

async function dialRelayed(addresses: readonly Multiaddr[], options: DialOptions): Promise<Connection> {
  const relays = new Map<string, Multiaddr>();
  for (const address of addresses) {
    const relay = relayIn(address);
    if (relay) relays.set(relay.toString(), relay);
  }
  await openNursery(async (nursery) => {
    for (const relay of relays.values()) nursery.startSoon(() => introduceTo(relay, options));
  });
  return dial(addresses, options);
}

/** A relay of another make knows no token; whether it serves us shows when it is asked. */
async function introduceTo(relay: Multiaddr, { introduce, logger }: DialOptions): Promise<void> {
  try {
    await introduce(relay);
  } catch (error) {
    rethrowIfCancelled(error);
    logger.debug({ relay: relay.toString(), ...errorFacts(error) }, "not known to a relay");
  }
}

function messageOf(failures: readonly unknown[]): string {
  return failures.map((failure) => (failure instanceof Error ? failure.message : String(failure))).join("; ");
}
