/** Settings of how a node is reached where it cannot be dialled, and of being a relay for others. */
import { choice, duration, integer, type Kind, list, onOff, text } from "../kind.ts";
import { names, type SettingTable } from "./setting.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Longer timers than 24 days do not exist in Node. */
const MAX_RELAY_MS = 24 * DAY_MS;
const MAX_RESERVATIONS = 100_000;
/** A petabyte. */
const MAX_RELAY_MIB = 1024 ** 3;
const RELAY_ADDRESS = /^\/(ip4|ip6|dns|dns4|dns6)\/\S+\/p2p\/[1-9A-HJ-NP-Za-km-z]{40,}$/;

const relay: Kind<string> = text(
  "multiaddr",
  "a multiaddr that ends in the relay's peer id, such as /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW…",
  RELAY_ADDRESS,
);

/** How the node is reached. */
export const REACH: Pick<
  SettingTable,
  | "relay"
  | "relayFor"
  | "relayReservations"
  | "relayReservationMs"
  | "relayConnectionMib"
  | "relayConnectionMs"
  | "relayVia"
  | "holePunch"
  | "autonat"
  | "upnp"
> = {
  relay: {
    ...names("relay"),
    kind: onOff(),
    fallback: () => false,
    summary:
      "Be a relay: carry connections to nodes that cannot be dialled. Needs an address others can dial.",
  },
  relayFor: {
    ...names("relay-for"),
    kind: choice("ours", "anyone"),
    fallback: () => "ours",
    summary:
      "Whom the relay serves: ours are nodes with the shared token, on the allow-list or on this machine.",
  },
  relayReservations: {
    ...names("relay-reservations"),
    kind: integer("n", 1, MAX_RESERVATIONS),
    fallback: () => 256,
    summary: "How many nodes may keep a place at the relay.",
  },
  relayReservationMs: {
    ...names("relay-reservation"),
    kind: duration(6 * MINUTE_MS, MAX_RELAY_MS),
    fallback: () => 2 * 3_600_000,
    summary: "How long a place lasts unless it is renewed; nodes renew it five minutes before.",
  },
  relayConnectionMib: {
    ...names("relay-connection-mib"),
    kind: integer("MiB", 0, MAX_RELAY_MIB),
    fallback: () => 64 * 1024,
    fallbackText: "65536, which is 64 GiB",
    summary:
      "How much one relayed connection may carry, both ways together, before it is cut; 0 is no limit.",
  },
  relayConnectionMs: {
    ...names("relay-connection"),
    kind: duration(MINUTE_MS, MAX_RELAY_MS),
    fallback: () => DAY_MS,
    summary: "How long one relayed connection may last before it is cut; nodes then open another one.",
  },
  relayVia: {
    ...names("relay-via"),
    kind: list(relay),
    fallback: () => [],
    fallbackText: "none",
    summary: "Relays at which the node keeps a place, so that others reach it through them.",
  },
  holePunch: {
    ...names("hole-punch"),
    kind: onOff(),
    fallback: () => true,
    summary: "Turn relayed connections into direct ones where one of the two ends can be dialled.",
  },
  autonat: {
    ...names("autonat"),
    kind: onOff(),
    fallback: () => false,
    summary:
      "Tell public addresses only after a peer has dialled them back (AutoNAT v2), and dial those of others.",
  },
  upnp: {
    ...names("upnp"),
    kind: onOff(),
    fallback: () => false,
    summary: "Ask the router of the local network to let others in (UPnP).",
  },
};
