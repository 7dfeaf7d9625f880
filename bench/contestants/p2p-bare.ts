/** A libp2p node as the product configures it, that serves nothing: what a connection costs at least. */
import { answerParent } from "../shared/child.ts";
import { startRawNode } from "./p2p-raw.ts";

const node = await startRawNode();

answerParent({ address: () => String(node.getMultiaddrs()[0]) });
