/** The limits of multicast DNS, with the reason for each. */
import { type Limit, SECOND } from "../../p2p/limits/limit.ts";

type Name =
  | "mdnsInstances"
  | "mdnsInstancesPerSource"
  | "mdnsRecords"
  | "mdnsStrings"
  | "mdnsAddresses"
  | "mdnsPacketBytes"
  | "mdnsPacketsPerSecond"
  | "mdnsPauseMs"
  | "mdnsReopenMs";

/** The limits by name. */
export const MDNS_LIMITS: { readonly [N in Name]: Limit } = {
  mdnsInstances: {
    value: 512,
    unit: "count",
    what: "Nodes of the local network that are remembered.",
    why: "A network with more needs a rendezvous node.",
  },
  mdnsInstancesPerSource: {
    value: 64,
    unit: "count",
    what: "Nodes that one machine may name.",
    why: "So that one machine cannot fill the memory; dozens of nodes on it are usual for a test.",
  },
  mdnsRecords: {
    value: 64,
    unit: "count",
    what: "Records that are read of one packet.",
    why: "A node has five, and a few more with an address in each.",
  },
  mdnsStrings: {
    value: 32,
    unit: "count",
    what: "Strings that are kept of a node.",
    why: "Each holds one address.",
  },
  mdnsAddresses: {
    value: 16,
    unit: "count",
    what: "Addresses that are kept of a machine, and given of a peer.",
    why: "More addresses of one peer are not dialled.",
  },
  mdnsPacketBytes: {
    value: 9000,
    unit: "bytes",
    what: "Largest packet that is read.",
    why: "The largest that RFC 6762 (section 17) allows.",
  },
  mdnsPacketsPerSecond: {
    value: 1000,
    unit: "/s",
    what: "Packets that are read in a second; the others are dropped.",
    why: "Hundreds of nodes that answer one question stay below; decoding this many costs some percent of a core.",
  },
  mdnsPauseMs: {
    value: SECOND,
    unit: "ms",
    what: "Least time between two questions, and between two answers that say the same.",
    why: "A flood of questions is not answered with a flood (RFC 6762, section 6).",
  },
  mdnsReopenMs: {
    value: 30 * SECOND,
    unit: "ms",
    what: "How often a port that is taken, or a machine without a network, is tried again.",
    why: "A laptop that joins a network is found within half a minute.",
  },
};
