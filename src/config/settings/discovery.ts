/** Settings of how nodes find each other. */
import { join } from "node:path";
import { list, path, pathOrOff } from "../kind.ts";
import { multiaddr } from "./addresses.ts";
import { names, type SettingTable } from "./setting.ts";

/** How nodes find each other. */
export const DISCOVERY: Pick<SettingTable, "announceFile" | "announceFiles" | "bootstrap"> = {
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
};
