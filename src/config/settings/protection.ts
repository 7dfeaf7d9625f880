/** Settings of who may connect, and of how much each peer may use. */
import { isIP } from "node:net";
import { byteSize, integer, type Kind, list, path, text } from "../kind.ts";
import { peerId } from "./addresses.ts";
import { names, none, type SettingTable } from "./setting.ts";

const MIB = 1024 * 1024;
/** Memory of one connection is about 200 KB. */
const MAX_CONNECTIONS = 65_536;
const MAX_REQUESTS = 1_000_000;
const words = "an IP address, or a prefix such as 192.0.2.0/24 or 2001:db8::/32";
const address: Kind<string> = checkedAddress();

/** Who may connect, and how much each peer may use. The table of limits has the defaults, with their reasons. */
export const PROTECTION: Pick<
  SettingTable,
  | "denyPeers"
  | "denyAddresses"
  | "onlyPeers"
  | "onlyAddresses"
  | "accessFile"
  | "swarmKeyFile"
  | "maxConnections"
  | "maxConnectionsPerAddress"
  | "maxFrameBytes"
  | "maxPeerRequests"
  | "maxPeerRateBytes"
> = {
  denyPeers: {
    ...names("deny-peer"),
    env: "MCPP_DENY_PEERS",
    key: "deny_peers",
    kind: list(peerId),
    fallback: () => [],
    fallbackText: "none",
    summary: "Peer ids that are refused, and not dialled; this wins over every list that allows.",
  },
  denyAddresses: {
    ...names("deny-address"),
    env: "MCPP_DENY_ADDRESSES",
    key: "deny_addresses",
    kind: list(address),
    fallback: () => [],
    fallbackText: "none",
    summary: "IP addresses and prefixes that are refused, and not dialled; this wins too.",
  },
  onlyPeers: {
    ...names("only-peer"),
    env: "MCPP_ONLY_PEERS",
    key: "only_peers",
    kind: list(peerId),
    fallback: () => [],
    fallbackText: "all",
    summary: "If any is given: the only peer ids that may connect and are dialled. It grants nothing.",
  },
  onlyAddresses: {
    ...names("only-address"),
    env: "MCPP_ONLY_ADDRESSES",
    key: "only_addresses",
    kind: list(address),
    fallback: () => [],
    fallbackText: "all",
    summary: "If any is given: the only IP addresses and prefixes that may connect and are dialled.",
  },
  accessFile: {
    ...names("access-file"),
    kind: path(),
    fallback: none,
    fallbackText: "none",
    summary: "File with more of these lists, read again whenever it changes.",
  },
  swarmKeyFile: {
    ...names("swarm-key-file"),
    kind: path(),
    fallback: none,
    fallbackText: "none",
    summary: "File with the key of a private swarm: only nodes that have it reach each other.",
  },
  maxConnections: {
    ...names("max-connections"),
    kind: integer("n", 1, MAX_CONNECTIONS),
    fallback: () => 2048,
    summary: "Connections of peers that are held at once.",
  },
  maxConnectionsPerAddress: {
    ...names("max-connections-per-address"),
    kind: integer("n", 1, MAX_CONNECTIONS),
    fallback: () => 256,
    summary: "Connections of peers from one IP address; this machine's own are not counted.",
  },
  maxFrameBytes: {
    ...names("max-frame"),
    kind: byteSize(64 * 1024, 256 * MIB),
    fallback: () => 16 * MIB,
    summary: "Largest message between peers, both ways.",
  },
  maxPeerRequests: {
    ...names("max-peer-requests"),
    kind: integer("n", 1, MAX_REQUESTS),
    fallback: () => 2048,
    summary: "Requests of one peer that are answered at once; more are refused as busy.",
  },
  maxPeerRateBytes: {
    ...names("max-peer-rate"),
    kind: byteSize(64 * 1024, 1024 * MIB),
    fallback: () => 64 * MIB,
    summary: "Bytes that are read from one peer in a second; what is beyond waits in the network.",
  },
};

function checkedAddress(): Kind<string> {
  const any = text("address", words);
  return {
    ...any,
    read(raw, place) {
      const value = any.read(raw, place);
      // Refuses what is none, in the words of the kind.
      return isAddress(value) ? value : any.read("", place);
    },
  };
}

function isAddress(value: string): boolean {
  const [ip = "", bits, ...rest] = value.split("/");
  const most = isIP(ip) === 6 ? 128 : 32;
  return (
    isIP(ip) !== 0 &&
    rest.length === 0 &&
    (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most))
  );
}
