/** Connections, in total and of one peer and one address. */
import { type Limit, MINUTE, SECOND } from "./limit.ts";

type Name =
  | "maxConnections"
  | "maxPeerConnections"
  | "maxAddressConnections"
  | "addressBurst"
  | "addressPerSecond"
  | "connectionsPerSecond"
  | "maxPending"
  | "maxAddressPending"
  | "upgradeMs"
  | "maxDials"
  | "addressDialMs"
  | "hearsayBurst"
  | "hearsayPerSecond"
  | "hearsayHostBurst"
  | "hearsayHostPerSecond"
  | "hearsayNetBurst"
  | "hearsayNetPerSecond"
  | "monitorMs";

/** The limits by name. */
export const CONNECTION_LIMITS: { readonly [N in Name]: Limit } = {
  maxConnections: {
    value: 2048,
    unit: "count",
    what: "Connections held; more are refused.",
    why: "Twice the number of peers that one node is built to serve.",
  },
  maxPeerConnections: {
    value: 8,
    unit: "count",
    what: "Connections of one peer that are taken in.",
    why: "Both ends may dial at once over two protocols of the network, and twice while an address changes.",
  },
  maxAddressConnections: {
    value: 256,
    unit: "count",
    what: "Connections from one address (of IPv6: from one /64). This machine itself is bounded by the total only.",
    why: "A company behind one address; a crowd behind one address leaves seven eighths for others.",
  },
  addressBurst: {
    value: 64,
    unit: "count",
    what: "New connections from one address at once; this machine itself is exempt.",
    why: "Sixty-four nodes that start together behind one address.",
  },
  addressPerSecond: {
    value: 8,
    unit: "/s",
    what: "New connections from one address in a second; this machine itself is exempt.",
    why: "A handshake costs 9 ms of CPU: a fourteenth of a core.",
  },
  connectionsPerSecond: {
    value: 200,
    unit: "/s",
    what: "New connections in a second from one address of this machine.",
    why: "libp2p's default of 5 refuses the second dozen of nodes on one machine.",
  },
  maxPending: {
    value: 256,
    unit: "count",
    what: "Handshakes under way.",
    why: "Ten silent sockets block all new peers with libp2p's default of 10.",
  },
  maxAddressPending: {
    value: 64,
    unit: "count",
    what: "Handshakes under way from one address.",
    why: "A quarter of all, so that silent sockets of one address never block the others.",
  },
  upgradeMs: {
    value: 3 * SECOND,
    unit: "ms",
    what: "How long a handshake may take.",
    why: "It takes 15 ms; a silent socket must not hold its place for libp2p's ten seconds.",
  },
  maxDials: {
    value: 64,
    unit: "count",
    what: "Dials of ours under way.",
    why: "Each costs a handshake; more of them only slow each other down.",
  },
  addressDialMs: {
    value: 3 * SECOND,
    unit: "ms",
    what: "How long one address may take before the next is tried.",
    why: "A dead port says so at once, a lost packet never.",
  },
  hearsayBurst: {
    value: 256,
    unit: "count",
    what: "Dials at once to addresses that one mechanism has named and nobody vouched for; one that leads to a peer is given back.",
    why: "Sixteen peers with all the addresses that a peer may have, none of them right.",
  },
  hearsayPerSecond: {
    value: 4,
    unit: "/s",
    what: "Such dials in a second, of one mechanism.",
    why: "A hundred times slower than whoever looks for open ports, and enough for a network that changes.",
  },
  hearsayHostBurst: {
    value: 64,
    unit: "count",
    what: "Such dials at once to one machine (of IPv6: to one /64).",
    why: "Twenty nodes on one machine that have all moved to other ports.",
  },
  hearsayHostPerSecond: {
    value: 1,
    unit: "/s",
    what: "Such dials in a second to one machine.",
    why: "All ports of a machine take eighteen hours.",
  },
  hearsayNetBurst: {
    value: 128,
    unit: "count",
    what: "Such dials at once to one network: a /24 of IPv4, a /48 of IPv6.",
    why: "Half of the addresses of a network once, so that none is swept.",
  },
  hearsayNetPerSecond: {
    value: 2,
    unit: "/s",
    what: "Such dials in a second to one network.",
    why: "One port of each of its machines takes two minutes.",
  },
  monitorMs: {
    value: MINUTE,
    unit: "ms",
    what: "How often a silent connection is tested.",
    why: "Every 10 s, libp2p's default, costs 11 % of a core at 500 connections.",
  },
};
