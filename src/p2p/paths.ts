/** Keeps the table of peers true about who is connected and how, and moves what can be moved to direct connections. */
import type { Connection, Libp2p } from "@libp2p/interface";
import { type Nursery, sleep } from "../nursery/index.ts";
import type { PeerTable } from "../peer/table.ts";
import { nameAddress } from "./address.ts";
import { isFromThisMachine, isLoopbackAddr } from "./address-scope.ts";
import { MCP_P2P_PROTOCOL, TASK_QUEUE_PROTOCOL } from "./message.ts";
import { bestConnection, pathOf } from "./path.ts";

/** How often a relayed connection that a direct one replaces is looked at; it costs the relay memory, nothing else. */
const UNUSED_CHECK_MS = 1000;
/** What somebody may still wait for. */
const OURS: ReadonlySet<string> = new Set([MCP_P2P_PROTOCOL, TASK_QUEUE_PROTOCOL]);

/** What following needs. */
export interface FollowPathsOptions {
  readonly table: PeerTable;
  readonly nursery: Nursery;
  /** Called when a peer has a direct connection. */
  readonly onDirect: (peerId: string) => void;
}

/** Follows the connections of the node until it stops. */
export function followPaths(libp2p: Libp2p, { table, nursery, onDirect }: FollowPathsOptions): void {
  libp2p.addEventListener("connection:open", ({ detail }) => {
    const peerId = detail.remotePeer.toString();
    const open = [detail, ...libp2p.getConnections(detail.remotePeer)];
    const direct = open.some((connection) => pathOf(connection) === "direct");
    // How it was found is told by whoever had it dialled.
    const method = detail.direction === "inbound" ? "inbound" : undefined;
    table.heard(peerId, { method, connected: true, path: direct ? "direct" : "relayed" });
    if (!direct) return;
    onDirect(peerId);
    for (const connection of new Set(open)) {
      if (pathOf(connection) === "relayed")
        nursery.startSoon(() => closeWhenUnused(connection), "close a relayed connection");
    }
  });
  libp2p.addEventListener("connection:close", ({ detail }) => {
    const left = bestConnection(libp2p, detail.remotePeer);
    if (left && left !== detail)
      table.heard(detail.remotePeer.toString(), { connected: true, path: pathOf(left), seen: false });
  });
  libp2p.addEventListener("peer:identify", ({ detail: { peerId, connection, listenAddrs } }) => {
    const id = peerId.toString();
    const near = isFromThisMachine(connection);
    const multiaddrs = listenAddrs
      .map((address) => nameAddress(address, id).toString())
      // The loopback addresses of another machine are ours here, and another node answers there.
      .filter((address) => near || !isLoopbackAddr(address));
    table.heard(id, { multiaddrs, connected: true });
  });
  libp2p.addEventListener("peer:disconnect", ({ detail }) => {
    table.heard(detail.toString(), { connected: false, seen: false });
  });
}

/** Both ends stop using it for new calls; what runs on it is not cut. */
async function closeWhenUnused(connection: Connection): Promise<void> {
  do await sleep(UNUSED_CHECK_MS);
  while (connection.status === "open" && connection.streams.some(({ protocol }) => OURS.has(protocol)));
  if (connection.status !== "open") return;
  try {
    await connection.close();
  } catch (cause) {
    // Its relay or its peer is gone: nothing is left to say goodbye to.
    connection.abort(new Error("the relayed connection is not needed any more", { cause }));
  }
}
