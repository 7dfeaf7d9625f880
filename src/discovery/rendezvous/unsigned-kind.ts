/** Peers that understand no signed records, told by the software that they say they are. */
import type { PeerId } from "@libp2p/interface";
import { abandonOnCancel, moveOnAfter, suspend } from "../../nursery/index.ts";
import type { Libp2pNode } from "../../p2p/libp2p-node.ts";

/** How long a peer may take to say what it is: libp2p asks when a connection opens, and a first request may be earlier. */
const IDENTIFY_MS = 1000;
/** How py-libp2p calls itself, with its version after it. */
const UNSIGNED_KIND = "py-libp2p/";

/** Whether `peer` says that it is py-libp2p. One that does not say what it is, is not. Waits in the caller's scope. */
export async function isOfUnsignedKind(libp2p: Libp2pNode, peer: PeerId): Promise<boolean> {
  const known = await agentOf(libp2p, peer);
  if (known !== undefined) return known.startsWith(UNSIGNED_KIND);
  await moveOnAfter(IDENTIFY_MS, () => identified(libp2p, peer));
  return (await agentOf(libp2p, peer))?.startsWith(UNSIGNED_KIND) ?? false;
}

async function agentOf(libp2p: Libp2pNode, peer: PeerId): Promise<string | undefined> {
  const read = async (): Promise<string | undefined> => {
    if (!(await libp2p.peerStore.has(peer))) return undefined;
    const agent = (await libp2p.peerStore.get(peer)).metadata.get("AgentVersion");
    return agent && Buffer.from(agent).toString("utf8");
  };
  return abandonOnCancel(read());
}

function identified(libp2p: Libp2pNode, peer: PeerId): Promise<void> {
  return suspend<void>((resume, fail) => {
    const onIdentify = ({ detail }: CustomEvent<{ readonly peerId: PeerId }>): void => {
      if (!detail.peerId.equals(peer)) return;
      libp2p.removeEventListener("peer:identify", onIdentify);
      resume();
    };
    libp2p.addEventListener("peer:identify", onIdentify);
    return (reason) => {
      libp2p.removeEventListener("peer:identify", onIdentify);
      fail(reason);
    };
  });
}
