/**
 * Being a relay (circuit relay v2): others keep a place here and are reached through it.
 *
 * Carrying bytes for somebody is work done for them, so it is granted like all other work: to nodes of ours, by what
 * authority says of their open connections, or to anyone if so configured. What is carried is encrypted end to end.
 */
import { type CircuitRelayService, circuitRelayServer } from "@libp2p/circuit-relay-v2";
import type { Mechanism, MechanismContext } from "../mechanism.ts";

/** What a relay allows. */
export interface RelayLimits {
  /** How many nodes may keep a place. */
  readonly reservations: number;
  /** How long a place lasts if it is not renewed; nodes renew five minutes before. */
  readonly reservationMs: number;
  /** How many bytes one relayed connection may carry, both ways together; 0: any number. */
  readonly connectionBytes: number;
  /** How long one relayed connection may last. */
  readonly connectionMs: number;
}

/** How a relay is set up. */
export interface RelayServerOptions {
  readonly limits: RelayLimits;
  /** Whom it serves: nodes of ours, or anyone. */
  readonly relayFor: "ours" | "anyone";
}

/** One relayed connection is a stream of the relay's connection to either end; libp2p's defaults are 32 and 300. */
const MAX_RELAYED_PER_PEER = 1024;
/** libp2p takes no limit as "none" only if it is far away. */
const NO_BYTE_LIMIT = 2n ** 62n;

/** The relay of this node. */
export function relayServer({ limits, relayFor }: RelayServerOptions): Mechanism {
  let service: CircuitRelayService | undefined;
  let ours: Pick<MechanismContext, "isOurs"> | undefined;
  const isStranger = (peerId: string): boolean => relayFor === "ours" && ours?.isOurs(peerId) !== true;
  const create = circuitRelayServer({
    maxInboundHopStreams: MAX_RELAYED_PER_PEER,
    maxOutboundStopStreams: MAX_RELAYED_PER_PEER,
    reservations: {
      maxReservations: limits.reservations,
      reservationTtl: limits.reservationMs,
      defaultDataLimit: limits.connectionBytes === 0 ? NO_BYTE_LIMIT : BigInt(limits.connectionBytes),
      defaultDurationLimit: limits.connectionMs,
    },
  });
  return {
    name: "relay",
    services: { relay: (components) => (service = create(components)) },
    gater: {
      denyInboundRelayReservation: (source) => isStranger(source.toString()),
      denyOutboundRelayedConnection: (source) => isStranger(source.toString()),
    },
    serve(context) {
      ours = context;
      const { libp2p, logger } = context;
      // libp2p keeps the place of a node that is gone until it runs out, and so a relay would fill up with absent ones.
      libp2p.addEventListener("peer:disconnect", ({ detail }) => {
        if (service?.reservations.delete(detail) === true)
          logger.debug({ peer: detail.toString() }, "a place at this relay is free again");
      });
    },
  };
}
