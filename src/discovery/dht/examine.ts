/** How this node stands in the DHT, for people. */
import { type Finding, fine, note, problem } from "../../peer/finding.ts";

/** What is known of it. */
export interface DhtState {
  readonly mode: "client" | "server";
  /** Nodes in the routing table. */
  readonly neighbours: number;
  /** Nodes that took this node's record the last time. Absent: it was not given out yet. */
  readonly keepers: number | undefined;
  /** Nodes that are configured by which to enter. */
  readonly entries: number;
}

/** The finding about it. */
export function dhtFinding({ mode, neighbours, keepers, entries }: DhtState): Finding {
  const role = mode === "server" ? "answers questions" : "only asks, since others do not reach it directly";
  if (neighbours > 0) {
    const kept = keepers === undefined ? "its record was not given out yet" : `${keepers} keep its record`;
    return fine("dht-entered", `dht: this node ${role}; it knows ${neighbours} nodes of it, ${kept}`);
  }
  const what = `dht: this node ${role}, but knows no other node of it, so nobody can be asked`;
  return entries > 0
    ? problem(
        "dht-alone",
        what,
        "mcpp why <one of --dht-bootstrap or --bootstrap>: none of them has answered",
      )
    : note("dht-alone", what, "mcpp serve --dht-bootstrap <multiaddr of a node in the DHT>");
}

/** How many nodes are in the routing table, which the types of @libp2p/kad-dht 16 do not show. */
export function neighboursOf(dht: object): number {
  const table: unknown = "routingTable" in dht ? dht.routingTable : undefined;
  const size = typeof table === "object" && table !== null && "size" in table ? table.size : 0;
  return typeof size === "number" ? size : 0;
}
