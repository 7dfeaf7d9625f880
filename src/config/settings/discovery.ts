/** Settings of how nodes find each other. */
import { join } from "node:path";
import { choice, duration, list, onOff, path, pathOrOff, text } from "../kind.ts";
import { multiaddr } from "./addresses.ts";
import { names, type SettingTable } from "./setting.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const DAY_MS = 1440 * MINUTE_MS;
/** The name of a DNS-SD service (RFC 6763, section 4.1.2). */
const service = text(
  "service",
  "a service name such as _p2p._udp.local",
  /^_[a-z0-9-]{1,62}\._(tcp|udp)\.local\.?$/i,
);
const MECHANISM = /^[a-z][a-z0-9-]*$/;

/** How nodes find each other. */
export const DISCOVERY: Pick<
  SettingTable,
  | "announceFile"
  | "announceFiles"
  | "bootstrap"
  | "publicBootstrap"
  | "dnsaddr"
  | "peerFolder"
  | "peerFolderTtlMs"
  | "mdns"
  | "mdnsService"
  | "mdnsBrowse"
  | "mdnsIntervalMs"
  | "searchOrder"
  | "heartbeatMs"
> = {
  announceFile: {
    ...names("announce-file"),
    kind: pathOrOff(),
    fallback: ({ dataDir }) => join(dataDir, "announce.json"),
    fallbackText: "announce.json in the data folder",
    summary: "File in which the node says where it is; off writes none.",
  },
  announceFiles: {
    ...names("announce-files"),
    kind: list(path()),
    fallback: () => [],
    fallbackText: "none",
    summary: "Announce files of other nodes to read.",
  },
  bootstrap: {
    ...names("bootstrap"),
    kind: list(multiaddr),
    fallback: () => [],
    fallbackText: "none",
    summary: "Multiaddrs of other nodes to try when a peer is looked for.",
  },
  publicBootstrap: {
    ...names("public-bootstrap"),
    kind: onOff(),
    fallback: () => false,
    summary: "Use the public libp2p network's entry points while no other peer is known.",
  },
  dnsaddr: {
    ...names("dnsaddr"),
    kind: onOff(),
    fallback: () => true,
    summary: "Ask name servers what a /dnsaddr address stands for; without it such an address is useless.",
  },
  peerFolder: {
    ...names("peer-folder"),
    kind: pathOrOff(),
    fallback: () => "off",
    summary: "Private folder in which each node of this machine keeps a file about itself.",
  },
  peerFolderTtlMs: {
    ...names("peer-folder-ttl"),
    kind: duration(10 * SECOND_MS, DAY_MS),
    fallback: () => 30 * MINUTE_MS,
    summary: "How long a file in that folder counts; a running node writes its own three times as often.",
  },
  mdns: {
    ...names("mdns"),
    kind: choice("auto", "on", "loopback", "off"),
    fallback: () => "auto",
    summary:
      "Find nodes of the local network: auto while others can reach this node, loopback among those of this machine only.",
  },
  mdnsService: {
    ...names("mdns-service"),
    kind: service,
    fallback: () => "_p2p._udp.local",
    summary: "Service that nodes announce and look for by multicast DNS; another one makes a group apart.",
  },
  mdnsBrowse: {
    ...names("mdns-browse"),
    kind: list(service),
    fallback: () => ["_mcp-accelerate._tcp.local"],
    summary: "Further services to look for by multicast DNS, without announcing them.",
  },
  mdnsIntervalMs: {
    ...names("mdns-interval"),
    kind: duration(SECOND_MS, MINUTE_MS),
    fallback: () => 10 * SECOND_MS,
    summary: "How often to ask by multicast DNS who is there.",
  },
  searchOrder: {
    ...names("search-order"),
    kind: list(text("mechanism", "the name of a mechanism such as known, bootstrap or mdns", MECHANISM)),
    fallback: () => [],
    fallbackText:
      "known, announce-file, peer-folder, bootstrap, rendezvous, dht, mdns, github-issues, public-bootstrap",
    summary: "Mechanisms in the order to ask them for a peer; those not named come after.",
  },
  heartbeatMs: {
    ...names("heartbeat"),
    kind: duration(1000, 3_600_000),
    fallback: () => 30_000,
    summary: "How often a node asks each peer it knows whether it is still there.",
  },
};
