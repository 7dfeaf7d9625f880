/** The type of the libp2p node that everything in this room shares. */
import type { Libp2p } from "@libp2p/interface";
import type { Ping } from "@libp2p/ping";
import type { SingleDials } from "./single-dials.ts";

/** The node with its ping, and with what dials single addresses. */
export type Libp2pNode = Libp2p<{ ping: Ping; dials: SingleDials }>;
