/** Settings of the libp2p host and of who may use it. */
import { list, onOff, path, text } from "../kind.ts";
import { multiaddr, peer, peerId } from "./addresses.ts";
import { names, none, type SettingTable } from "./setting.ts";

/** A shorter secret can be guessed. */
export const MIN_TOKEN_CHARS = 32;

/** The libp2p host, and who may use it. */
export const P2P: Pick<
  SettingTable,
  "p2p" | "listen" | "announce" | "tokenFile" | "token" | "allowPeers" | "cachePeers" | "sendTokenToOldPeers"
> = {
  p2p: { ...names("p2p"), kind: onOff(), fallback: () => true, summary: "Be a libp2p peer." },
  listen: {
    ...names("listen"),
    kind: list(multiaddr),
    fallback: () => ["/ip4/127.0.0.1/tcp/0"],
    summary: "Multiaddrs to listen on; the default is reached from this machine only.",
  },
  announce: {
    ...names("announce"),
    kind: list(multiaddr),
    fallback: () => [],
    fallbackText: "what the node listens on",
    summary: "Multiaddrs that others are told to use, where they differ from what the node listens on.",
  },
  tokenFile: {
    ...names("token-file"),
    kind: path(),
    fallback: none,
    fallbackText: "none",
    summary: `File that holds the shared token, at least ${MIN_TOKEN_CHARS} characters.`,
  },
  token: {
    env: "MCPP_TOKEN",
    kind: text(
      "token",
      `at least ${MIN_TOKEN_CHARS} characters without white space`,
      new RegExp(`^\\S{${MIN_TOKEN_CHARS},}$`),
    ),
    fallback: none,
    fallbackText: "none",
    summary: "Shared token: nodes that prove it to each other may use each other's queues and tools.",
    secret: true,
  },
  allowPeers: {
    ...names("allow-peer"),
    env: "MCPP_ALLOW_PEERS",
    key: "allow_peers",
    kind: list(peerId),
    fallback: () => [],
    fallbackText: "none",
    summary: "Peer ids that may use this node without the token.",
  },
  cachePeers: {
    ...names("cache-peer"),
    env: "MCPP_CACHE_PEERS",
    key: "cache_peers",
    kind: list(peer),
    fallback: () => [],
    fallbackText: "none",
    summary: "Nodes that always have a copy of this node's cache.",
  },
  sendTokenToOldPeers: {
    ...names("send-token-to-old-peers"),
    kind: onOff(),
    fallback: () => false,
    summary:
      "Send the token as it is to peers that speak only the old protocol, if they were asked for by id.",
  },
};
