/** Settings of how nodes find each other. */
import { join } from "node:path";
import { duration, list, path, pathOrOff, text } from "../kind.ts";
import { multiaddr } from "./addresses.ts";
import { names, type SettingTable } from "./setting.ts";

const MECHANISM = /^[a-z][a-z0-9-]*$/;

/** How nodes find each other. */
export const DISCOVERY: Pick<
  SettingTable,
  "announceFile" | "announceFiles" | "bootstrap" | "searchOrder" | "heartbeatMs"
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
  searchOrder: {
    ...names("search-order"),
    kind: list(text("mechanism", "the name of a mechanism such as known, bootstrap or mdns", MECHANISM)),
    fallback: () => [],
    fallbackText: "known, announce-file, bootstrap, rendezvous, dht, mdns, then the registry",
    summary: "Mechanisms in the order to ask them for a peer; those not named come after.",
  },
  heartbeatMs: {
    ...names("heartbeat"),
    kind: duration(1000, 3_600_000),
    fallback: () => 30_000,
    summary: "How often a node asks each peer it knows whether it is still there.",
  },
};
