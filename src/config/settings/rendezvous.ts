/** Settings of how nodes find each other through third nodes: rendezvous and DHT. */
import { choice, type Kind, list, onOff, text } from "../kind.ts";
import { multiaddr } from "./addresses.ts";
import { names, type SettingTable } from "./setting.ts";

/** The namespace of the Python system, so that its nodes and ours meet where nothing is configured. */
const OLD_NAMESPACE = "ipfs-accelerate-task-queue";
/** The rendezvous specification allows 255 bytes; visible ASCII is the same bytes for every implementation. */
const namespace: Kind<string> = text(
  "name",
  "1 to 255 letters, digits and signs of ASCII, without spaces",
  /^[\x21-\x7e]{1,255}$/,
);

/** How nodes find each other through third nodes. */
export const RENDEZVOUS: Pick<
  SettingTable,
  "namespace" | "rendezvous" | "rendezvousServer" | "rendezvousUnsigned" | "dht" | "dhtBootstrap" | "dhtMode"
> = {
  namespace: {
    ...names("namespace"),
    kind: namespace,
    fallback: () => OLD_NAMESPACE,
    summary:
      "Name under which nodes that belong together look for each other; a name is no secret and no protection.",
  },
  rendezvous: {
    ...names("rendezvous"),
    kind: list(multiaddr),
    fallback: () => [],
    fallbackText: "none",
    summary: "Multiaddrs of rendezvous nodes to register with, and to ask for others of the namespace.",
  },
  rendezvousServer: {
    ...names("rendezvous-server"),
    kind: onOff(),
    fallback: () => false,
    summary: "Be a rendezvous node: keep a list of who is where for nodes that register.",
  },
  rendezvousUnsigned: {
    ...names("rendezvous-unsigned"),
    kind: onOff(),
    fallback: () => false,
    summary:
      "Deal with rendezvous nodes and clients that do not sign their addresses, such as py-libp2p 0.7.",
  },
  dht: {
    ...names("dht"),
    kind: choice("off", "private", "public"),
    fallback: () => "off",
    summary: "Find nodes by a DHT: one of this product's own nodes, or the public one of IPFS.",
  },
  dhtBootstrap: {
    ...names("dht-bootstrap"),
    kind: list(multiaddr),
    fallback: () => [],
    fallbackText: "those of bootstrap; for the public DHT the nodes that libp2p runs for it",
    summary: "Multiaddrs of nodes by which to enter the DHT.",
  },
  dhtMode: {
    ...names("dht-mode"),
    kind: choice("auto", "server", "client"),
    fallback: () => "auto",
    summary: "Whether to answer questions of the DHT; auto does so where others can reach this node.",
  },
};
