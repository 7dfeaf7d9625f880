/** Many peers in one process, each a libp2p node with a connection of its own to the node under test. */
import { multiaddr } from "@multiformats/multiaddr";
import * as z from "zod";
import { answerParent } from "../shared/child.ts";
import { startRawNode } from "./p2p-raw.ts";

/** Dialled at once: enough to keep both ends busy, below what a node takes from one address in a second. */
const AT_ONCE = 16;

const order = z.object({ address: z.string(), peers: z.int() });
const crowd: Awaited<ReturnType<typeof startRawNode>>[] = [];

/** Connects until there are `peers`. @returns how many are connected */
async function gather({ address, peers }: z.infer<typeof order>): Promise<number> {
  const target = multiaddr(address);
  let begun = crowd.length;
  const lane = async (): Promise<void> => {
    while (begun < peers) {
      begun += 1;
      const node = await startRawNode();
      crowd.push(node);
      await node.dial(target).catch(reported);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return crowd.filter((node) => node.getConnections().length > 0).length;
}

/** How many of the crowd are served: pings that come back. */
async function usable(address: string): Promise<number> {
  let answered = 0;
  for (const node of crowd.filter((one) => one.getConnections().length > 0)) {
    const ms = await node.services.ping.ping(multiaddr(address)).catch(reported);
    if (ms !== undefined) answered += 1;
  }
  return answered;
}

/** A peer that failed is missing from the count; the line says why. */
function reported(error: unknown): undefined {
  console.error(`a peer of the crowd failed: ${String(error)}`);
  return undefined;
}

answerParent({
  gather: (input) => gather(order.parse(input)),
  usable: (address) => usable(z.string().parse(address)),
});
