/** The type of the libp2p node that everything in this room shares. */
import type { Libp2p } from "@libp2p/interface";
import type { Ping } from "@libp2p/ping";

/** The node with its ping. */
export type Libp2pNode = Libp2p<{ ping: Ping }>;
